package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/curfew-id/curfew/internal/fault"
)

// Config is everything an operator can set. Absent fields work.
type Config struct {
	Data       string `toml:"data" flag:"data" doc:"Folder of the directory: master key, mark file, TLS keys and, without a database, everything else."`
	Listen     string `toml:"listen" flag:"listen" doc:"Address and port to listen on."`
	PublicURL  string `toml:"public_url" flag:"public-url" doc:"Where browsers and applications reach this server: scheme, host, port, no path. Issuers and endpoints are made of it, so it must not change."`
	Database   string `toml:"database" flag:"database" doc:"postgres://… for PostgreSQL. Empty: SQLite in the data folder. A password belongs into the environment (CURFEW_DATABASE) or a PGPASSFILE."`
	TLS        string `toml:"tls" flag:"tls" doc:"local: certificates of a CA made here, for trying out. files: tls_cert and tls_key. acme: certificates by ACME for the public URL's host. off: plain http, on loopback or behind a proxy that ends TLS."`
	TLSCert    string `toml:"tls_cert" flag:"tls-cert" doc:"Certificate chain, PEM, for tls = files. Read again when it changes."`
	TLSKey     string `toml:"tls_key" flag:"tls-key" doc:"Private key, PEM, for tls = files."`
	ACME       string `toml:"acme_directory" flag:"acme-directory" doc:"Directory URL of the ACME server for tls = acme. Empty: Let's Encrypt."`
	MTLSListen string `toml:"mtls_listen" flag:"mtls-listen" doc:"Address and port on which applications show client certificates (mutual TLS). Empty: nowhere. Browsers never go there."`
	MTLSURL    string `toml:"mtls_url" flag:"mtls-url" doc:"Where applications reach mtls_listen. Empty: the public URL with the port of mtls_listen."`
	MasterKey  string `toml:"master_key_file" flag:"master-key-file" doc:"File of the master key. Empty: master.key in the data folder, made at the first start. CURFEW_MASTER_KEY in the environment goes before. Never put it into a backup of the database."`
	Apply      string `toml:"apply" flag:"apply" doc:"Manifest to apply at every start: people, groups, applications, resources."`
	Register   string `toml:"dynamic_registration" flag:"dynamic-registration" doc:"token: applications may be registered by protocol (RFC 7591) with an access token of somebody who may register them by hand. off: by hand only."`
	Egress     string `toml:"egress_allow" flag:"egress-allow" doc:"Networks, addresses and host names, separated by commas, that this server may ask although they are not on the public internet: logout addresses and keys of applications, other identity providers. Loopback in it may be asked by plain http. Empty: the public internet only."`
	GeoIP      string `toml:"geoip_file" flag:"geoip-file" doc:"MaxMind database (.mmdb, GeoLite2 or GeoIP2, Country or City) that says where addresses are. Read into memory, and again when it changes. Empty: no country is known, and policies about countries apply to everybody."`
	SignInLog  string `toml:"signin_log" flag:"signin-log" doc:"How long sign-ins are kept in the log, such as 720h for 30 days. off: none is written."`
	SMTP       string `toml:"smtp" flag:"smtp" doc:"Mail server for letters to people: smtp://host:587 (STARTTLS, and not without), smtps://host:465, or on loopback smtp+plain://127.0.0.1:25. Empty: nobody is written to."`
	SMTPUser   string `toml:"smtp_user" flag:"smtp-user" doc:"User name at the mail server. Empty: it lets this server in without."`
	SMTPFile   string `toml:"smtp_password_file" flag:"smtp-password-file" doc:"File of the password at the mail server. CURFEW_SMTP_PASSWORD in the environment goes before."`
	MailFrom   string `toml:"mail_from" flag:"mail-from" doc:"Address that letters come from, such as Contoso <curfew@contoso.example>. Needed with smtp."`
	Reset      string `toml:"password_reset" flag:"password-reset" doc:"mail: people who hold no role set a new password by a link in a letter (needs smtp). off: an administrator resets it."`
	Remember   string `toml:"remember_second_factor" flag:"remember-second-factor" doc:"For how many days, 1 to 365, a browser may be spared the second factor when its owner says so; 0: never. A cut of the person ends it, and policies may ask sooner."`
	LogLevel   string `toml:"log_level" flag:"log-level" doc:"debug, info, warn or error."`
}

// Default returns the configuration of a first start.
func Default() Config {
	return Config{Data: "curfew-data", Listen: "127.0.0.1:8443", TLS: "local", Register: "off", Reset: "off", Remember: "0", SignInLog: "720h", LogLevel: "info"}
}

// Env returns the name of the environment variable of a flag.
func Env(flag string) string { return "CURFEW_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) }

// Load puts the TOML file and the environment over the defaults. Flags go on
// top, by the caller. Kinds: Invalid.
func Load(file string) (Config, error) {
	c := Default()
	if file != "" {
		meta, err := toml.DecodeFile(file, &c)
		if err != nil {
			return c, fault.Wrap(fault.Invalid, "The configuration file cannot be read: "+parseError(err)+".", err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return c, fault.New(fault.Invalid, fmt.Sprintf("The configuration file has an unknown key: %s.", unknown[0]))
		}
	}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		if s, ok := os.LookupEnv(Env(v.Type().Field(i).Tag.Get("flag"))); ok {
			v.Field(i).SetString(s)
		}
	}
	return c, nil
}

// parseError says where and what, without the file's content.
func parseError(err error) string {
	if pe, ok := err.(toml.ParseError); ok { //nolint:errorlint // toml returns the value itself
		return fmt.Sprintf("line %d, %s", pe.Position.Line, pe.Message)
	}
	return "it is not there or not TOML"
}

// Check completes c and reports what is wrong with it. Kinds: Invalid.
func (c *Config) Check() error {
	invalid := func(format string, args ...any) error { return fault.New(fault.Invalid, fmt.Sprintf(format, args...)) }
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return invalid("--listen must be address:port, such as 127.0.0.1:8443.")
	}
	switch c.TLS {
	case "local", "off":
	case "files":
		if c.TLSCert == "" || c.TLSKey == "" {
			return invalid("--tls files needs --tls-cert and --tls-key.")
		}
	case "acme":
		if c.PublicURL == "" {
			return invalid("--tls acme needs --public-url.")
		}
	default:
		return invalid("--tls is local, files, acme or off, not %q.", c.TLS)
	}
	if c.Register != "off" && c.Register != "token" {
		return invalid("--dynamic-registration is off or token, not %q.", c.Register)
	}
	if _, err := c.KeepSignIns(); err != nil {
		return err
	}
	if c.PublicURL == "" {
		if host == "" || host == "0.0.0.0" || host == "::" || host == "127.0.0.1" || host == "::1" {
			host = "localhost"
		}
		scheme := "https"
		if c.TLS == "off" {
			scheme = "http"
		}
		c.PublicURL = scheme + "://" + net.JoinHostPort(host, port)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return invalid("--public-url must be an address such as https://id.contoso.example.")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return invalid("--public-url must have no path, query or user: Microsoft's libraries take the first path segment for the tenant.")
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return invalid("--public-url may be http on loopback only: cookies and tokens must not cross a network in the clear.")
	case strings.Contains(strings.ToLower(u.Host), "token"):
		return invalid("--public-url must not contain the word \"token\": Microsoft's libraries make the device endpoint by replacing it.")
	}
	if err := c.checkMTLS(u.Hostname()); err != nil {
		return err
	}
	if err := c.checkMail(); err != nil {
		return err
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return invalid("--log-level is debug, info, warn or error, not %q.", c.LogLevel)
	}
	if c.MasterKey == "" {
		c.MasterKey = filepath.Join(c.Data, "master.key")
	}
	return nil
}

// checkMTLS completes and checks the second listener. The certificate of a client
// proves something only where its TLS ends here.
func (c *Config) checkMTLS(host string) error {
	switch {
	case c.MTLSListen == "" && c.MTLSURL == "":
		return nil
	case c.MTLSListen == "":
		return fault.New(fault.Invalid, "--mtls-url needs --mtls-listen.")
	case c.TLS == "off":
		return fault.New(fault.Invalid, "--mtls-listen needs --tls local, files or acme: client certificates are checked where TLS ends.")
	}
	_, port, err := net.SplitHostPort(c.MTLSListen)
	if err != nil || c.MTLSListen == c.Listen {
		return fault.New(fault.Invalid, "--mtls-listen must be address:port, another one than --listen.")
	}
	if c.MTLSURL == "" {
		c.MTLSURL = "https://" + net.JoinHostPort(host, port)
	}
	c.MTLSURL = strings.TrimSuffix(c.MTLSURL, "/")
	u, err := url.Parse(c.MTLSURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fault.New(fault.Invalid, "--mtls-url must be an address such as https://mtls.id.contoso.example, without path or query.")
	}
	return nil
}

// Loopback reports whether a host name never leaves this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// KeepSignIns is how long the log of sign-ins is kept; 0: none is written. Kinds:
// Invalid.
func (c *Config) KeepSignIns() (time.Duration, error) {
	switch c.SignInLog {
	case "off":
		return 0, nil
	case "":
		return 720 * time.Hour, nil
	}
	d, err := time.ParseDuration(c.SignInLog)
	if err != nil || d < time.Hour {
		return 0, fault.Wrap(fault.Invalid, fmt.Sprintf("--signin-log is a time of at least an hour, such as 720h, or off, not %q.", c.SignInLog), err)
	}
	return d, nil
}

// Secure reports whether browsers reach the server by TLS.
func (c *Config) Secure() bool { return strings.HasPrefix(c.PublicURL, "https://") }

// Each calls f for every setting in order: its key, flag, text and place.
func (c *Config) Each(f func(key, flag, doc string, value *string)) {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		t := v.Type().Field(i).Tag
		f(t.Get("toml"), t.Get("flag"), t.Get("doc"), v.Field(i).Addr().Interface().(*string))
	}
}

// Reference renders the reference page, docs/config.md.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from internal/config. A value comes from a flag, else from the environment, else from the file named by `--config`, else from the default.\n\n")
	b.WriteString("| key in the file | flag | environment | default | meaning |\n|---|---|---|---|---|\n")
	c := Default()
	c.Each(func(key, flag, doc string, value *string) {
		fmt.Fprintf(&b, "| `%s` | `--%s` | `%s` | %s | %s |\n", key, flag, Env(flag), code(*value), doc)
	})
	return b.String()
}

func code(s string) string {
	if s == "" {
		return "–"
	}
	return "`" + s + "`"
}
