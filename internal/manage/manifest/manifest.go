package manifest

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
)

// Options are the lookups for secrets that a manifest names. Nil: such a
// manifest is refused, as one that came over the network must be.
type Options struct {
	Getenv   func(name string) (value string, ok bool)
	ReadFile func(path string) ([]byte, error)
}

// Manifest is a parsed and checked file for manage.Service.Apply; see docs/apply.md.
type Manifest struct {
	Directory *struct{ Domain, Name string } // nil: left alone
	// Lifecycle is what events of that name are to end; manage knows the names.
	Lifecycle map[string]string
	Users     []User
	Groups    []Group
	Resources []Resource
	Apps      []App
	Providers []Provider
	// Locations and Policies are documents of conditional access.
	Locations, Policies []Document
}

// Format prints no manifest: there are passwords and secrets in it.
func (m *Manifest) Format(f fmt.State, _ rune) { io.WriteString(f, "manifest") }

// Hidden is a password or secret; it prints as dots.
type Hidden string

func (Hidden) Format(f fmt.State, _ rune) { io.WriteString(f, "•••") }

type User struct {
	Name         string
	DisplayName  *string `toml:"display_name"`
	GivenName    *string `toml:"given_name"`
	Surname      *string
	Mail         *string
	Nickname     *string
	JobTitle     *string `toml:"job_title"`
	Department   *string
	Office       *string
	Mobile       *string
	Language     *string
	Password     Hidden
	PasswordEnv  string `toml:"password_env"`
	PasswordFile string `toml:"password_file"`
	MustChange   bool   `toml:"must_change"`
	Enabled      *bool
	Roles        []string // nil: left alone

	// Holds are the Roles as the catalogue has them, each once.
	Holds []role.Role `toml:"-"`
}

type Group struct {
	Name           string
	Description    *string
	RoleAssignable bool `toml:"role_assignable"`
	Members        []string
	Roles          []string

	// Holds are the Roles as the catalogue has them, each once.
	Holds []role.Role `toml:"-"`
}

type Scope struct {
	Name      string
	Text      string
	AdminOnly bool `toml:"admin_only"`
}

type Resource struct {
	ID            directory.ResourceID
	Name          *string
	TokenLife     string `toml:"token_life"`
	Guarded       *bool
	Scope         []Scope  // nil: left alone
	AppRoles      []string `toml:"app_roles"`
	SigningAlg    *string  `toml:"signing_alg"`
	EncryptionKey *string  `toml:"encryption_key"`

	Life *time.Duration `toml:"-"` // TokenLife, read; nil: left alone
}

type App struct {
	ID                    directory.AppID
	Name, Publisher       *string
	Public                *bool
	FirstParty            *bool `toml:"first_party"`
	DeviceCode            *bool `toml:"device_code"`
	Enabled               *bool
	RedirectURIs          []string `toml:"redirect_uris"`
	PostLogoutURIs        []string `toml:"post_logout_uris"`
	Secret                Hidden
	SecretEnv             string `toml:"secret_env"`
	SecretFile            string `toml:"secret_file"`
	Permissions           []directory.Permission
	AppPermissions        []directory.Permission `toml:"app_permissions"`
	Guards                []directory.ResourceID
	AccessTokenMinutes    *int     `toml:"access_token_minutes"`
	SPARedirectURIs       []string `toml:"spa_redirect_uris"`
	Keys                  []string
	KeysURI               *string `toml:"jwks_uri"`
	Refresh               *directory.RefreshMode
	GrantAbsolute         string  `toml:"grant_absolute"`
	RequirePAR            *bool   `toml:"require_pushed_requests"`
	RequireDPoP           *bool   `toml:"require_dpop"`
	SigningAlg            *string `toml:"signing_alg"`
	BackChannelLogoutURI  *string `toml:"backchannel_logout_uri"`
	BackChannelSession    *bool   `toml:"backchannel_logout_session"`
	FrontChannelLogoutURI *string `toml:"frontchannel_logout_uri"`
	FrontChannelSession   *bool   `toml:"frontchannel_logout_session"`

	Absolute *time.Duration `toml:"-"` // GrantAbsolute, read; nil: left alone
}

const (
	maxManifest  = 16 << 20
	maxSecretRef = 64 << 10
	minSecret    = 16
)

// Parse reads and checks a manifest in TOML. Unknown keys are refused:
// a misspelt key that means less access must not pass. Every refusal is a fault
// of kind Invalid that names the line.
func Parse(r io.Reader, o Options) (*Manifest, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "The file could not be read.", err)
	}
	if len(b) > maxManifest {
		return nil, invalid("The file is larger than 16 MiB. To create many users, import them.")
	}
	src := strings.TrimPrefix(string(b), "\ufeff")
	var doc struct {
		Directory *struct{ Domain, Name string }
		Lifecycle map[string]string
		User      []User
		Group     []Group
		Resource  []Resource
		App       []App
		Provider  []Provider
		Location  []Document
		Policy    []Document
	}
	md, err := toml.Decode(src, &doc)
	if err != nil {
		// The parser's own words could repeat a secret; they stay in the cause.
		var pe toml.ParseError
		if errors.As(err, &pe) && pe.LastKey != "" {
			return nil, fault.Wrap(fault.Invalid, fmt.Sprintf("Line %d: this is no valid TOML, or a value of the wrong type (near the key %s).", pe.Position.Line, fault.Quote(pe.LastKey)), err)
		} else if errors.As(err, &pe) {
			return nil, fault.Wrap(fault.Invalid, fmt.Sprintf("Line %d: this is no valid TOML.", pe.Position.Line), err)
		}
		return nil, fault.Wrap(fault.Invalid, "A value in the file has the wrong type.", err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return nil, invalid(fmt.Sprintf("Line %d: there is no key %s.", lineOfKey(src, unknown[0]), fault.Quote(unknown[0].String())))
	}
	m := &Manifest{Directory: doc.Directory, Lifecycle: doc.Lifecycle, Users: doc.User, Groups: doc.Group, Resources: doc.Resource, Apps: doc.App, Providers: doc.Provider, Locations: doc.Location, Policies: doc.Policy}
	return m, m.check(src, o)
}

// at puts the line of the n-th [[table]] and its name before what is wrong.
func at(src, table string, n int, name string, err error) error {
	if err == nil {
		return nil
	}
	line, seen := 0, -1
	for i, l := range strings.Split(src, "\n") {
		if t, array := tableHeader(l); array && t == table {
			if seen++; seen == n {
				line = i + 1
			}
		}
	}
	return fault.Wrap(fault.KindOf(err), fmt.Sprintf("Line %d: %s %s: %s", line, table, fault.Quote(name), fault.Public(err)), err)
}

var header = regexp.MustCompile(`^\s*(\[\[?)\s*([A-Za-z0-9_.\s"'-]+?)\s*\]\]?\s*(?:#.*)?$`)

func tableHeader(line string) (name string, array bool) {
	h := header.FindStringSubmatch(line)
	if h == nil {
		return "", false
	}
	return strings.NewReplacer(" ", "", `"`, "", "'", "").Replace(h[2]), h[1] == "[["
}

// lineOfKey finds the line on which a key stands; 0 if it cannot be told.
func lineOfKey(src string, key toml.Key) int {
	last, table := key[len(key)-1], ""
	word := regexp.MustCompile(`(^|[\s{,."'])` + regexp.QuoteMeta(last) + `["']?\s*=`)
	fallback := 0
	for i, l := range strings.Split(src, "\n") {
		if t, _ := tableHeader(l); t != "" {
			if table = t; table == key.String() {
				return i + 1
			}
			continue
		}
		if word.MatchString(l) {
			if fallback == 0 {
				fallback = i + 1
			}
			if table == strings.Join(key[:len(key)-1], ".") {
				return i + 1
			}
		}
	}
	return fallback
}

func (m *Manifest) check(src string, o Options) error {
	if d := m.Directory; d != nil {
		if err := directory.CheckDomain(d.Domain); err != nil {
			return err
		}
		if err := directory.CheckRequired("The name of the directory", d.Name, 256); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	once := func(key string) error {
		if seen[key] {
			return invalid("This is in the file twice.")
		}
		seen[key] = true
		return nil
	}
	for i := range m.Users {
		u := &m.Users[i]
		if err := errors.Join(once("user "+directory.FoldName(u.Name)), u.check(o)); err != nil {
			return at(src, "user", i, u.Name, err)
		}
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		if err := errors.Join(once("group "+directory.FoldName(g.Name)), g.check()); err != nil {
			return at(src, "group", i, g.Name, err)
		}
	}
	for i := range m.Resources {
		r := &m.Resources[i]
		if err := errors.Join(once("resource "+string(r.ID)), r.check()); err != nil {
			return at(src, "resource", i, string(r.ID), err)
		}
	}
	for i := range m.Providers {
		p := &m.Providers[i]
		if err := errors.Join(once("provider "+string(p.ID)), p.check(o)); err != nil {
			return at(src, "provider", i, string(p.ID), err)
		}
	}
	for n, all := range [][]Document{m.Locations, m.Policies} {
		table := []string{"location", "policy"}[n]
		for i := range all {
			d := &all[i]
			if err := errors.Join(d.check(), once(table+" "+directory.FoldName(d.Name))); err != nil {
				return at(src, table, i, d.Name, err)
			}
		}
	}
	for i := range m.Apps {
		a := &m.Apps[i]
		if err := errors.Join(once("app "+string(a.ID)), a.check(o)); err != nil {
			return at(src, "app", i, string(a.ID), err)
		}
	}
	return nil
}

func (u *User) check(o Options) (err error) {
	if err := directory.CheckUserName(u.Name); err != nil {
		return err
	}
	if u.Password, err = o.secret("password", u.Password, u.PasswordEnv, u.PasswordFile); err != nil {
		return err
	}
	u.Holds, err = findRoles(u.Roles)
	return err
}

func (g *Group) check() (err error) {
	if err := directory.CheckRequired("The name of the group", g.Name, 256); err != nil {
		return err
	}
	if len(g.Roles) > 0 && !g.RoleAssignable {
		return invalid("A group that holds roles needs role_assignable = true.")
	}
	g.Holds, err = findRoles(g.Roles)
	return err
}

func findRoles(names []string) (out []role.Role, err error) {
	for _, n := range names {
		r, ok := role.FindName(n)
		if !ok {
			r, ok = role.Find(directory.RoleID(n))
		}
		if !ok {
			return nil, invalid("There is no role " + fault.Quote(n) + ".")
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (r *Resource) check() error {
	if r.ID == "" {
		return invalid("The key id is missing.")
	}
	if r.TokenLife != "" {
		d, err := time.ParseDuration(r.TokenLife)
		if err != nil {
			return invalid("token_life is a duration such as 1h or 30m.")
		}
		r.Life = &d
	}
	for _, x := range r.Scope {
		if err := directory.CheckScope(x.Name); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) check(o Options) (err error) {
	if !directory.ValidAppID(string(a.ID)) {
		return invalid("The key id is a client_id: 1 to 255 printable ASCII characters without spaces.")
	}
	for _, u := range slices.Concat(a.RedirectURIs, a.PostLogoutURIs) {
		if err := directory.CheckRedirectURI(u); err != nil {
			return err
		}
	}
	if a.Secret, err = o.secret("secret", a.Secret, a.SecretEnv, a.SecretFile); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(string(a.Secret)); n > 0 && n < minSecret {
		// Only its SHA-256 is stored: what people make up could be guessed from it.
		return invalid("An application's secret has at least 16 characters, best random ones.")
	}
	if a.GrantAbsolute != "" {
		d, err := time.ParseDuration(a.GrantAbsolute)
		if err != nil {
			return invalid("grant_absolute is a duration such as 24h, or 0s for none.")
		}
		a.Absolute = &d
	}
	return nil
}

// secret reads a secret from the one place that is named.
func (o Options) secret(key string, value Hidden, env, file string) (Hidden, error) {
	named := 0
	for _, s := range []string{string(value), env, file} {
		if s != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return "", nil
	case named > 1:
		return "", invalid("Of " + key + ", " + key + "_env and " + key + "_file only one can be given.")
	case env != "" && o.Getenv == nil, file != "" && o.ReadFile == nil:
		return "", invalid("Environment and files cannot be named here. Give " + key + " itself, or apply the file on the machine.")
	case env != "":
		v, _ := o.Getenv(env)
		if value = Hidden(v); v == "" {
			return "", invalid("The environment variable " + fault.Quote(env) + " is not set.")
		}
	case file != "":
		b, err := o.ReadFile(file)
		if err != nil {
			return "", fault.Wrap(fault.Invalid, "The file "+fault.Quote(file)+" cannot be read.", err)
		}
		if value = Hidden(strings.TrimRight(string(b), "\r\n")); value == "" || len(b) > maxSecretRef {
			return "", invalid("The file " + fault.Quote(file) + " is empty or larger than 64 KiB.")
		}
	}
	if !utf8.ValidString(string(value)) {
		return "", invalid("The " + key + " is not valid UTF-8.")
	}
	return value, nil
}

func invalid(sentence string) error { return fault.New(fault.Invalid, sentence) }
