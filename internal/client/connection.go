package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Connection is an address and what lets us in there.
type Connection struct {
	Name string `json:"-"`    // host or host:port; the file is called so
	Base string `json:"base"` // the server's public URL, without slash at the end
	User string `json:"user,omitempty"`
	// CA holds certificates in PEM that are believed besides the system's.
	CA        string    `json:"ca,omitempty"`
	Connected time.Time `json:"connected,omitzero"`
	Token     Token     `json:"token"`
}

// Token is what the token endpoint gave.
type Token struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"` // empty: it ends with the access token
	Expires time.Time `json:"expires,omitzero"`  // of the access token; zero: not known
}

// fresh reports whether the access token is good for another moment, as far as
// can be told here.
func (t Token) fresh(now time.Time) bool {
	return t.Access != "" && (t.Expires.IsZero() || now.Add(30*time.Second).Before(t.Expires))
}

// ErrNotConnected: there is no connection, or not the one that was named.
var ErrNotConnected = errors.New("not connected")

// Store keeps connections in a directory, one file each.
type Store struct{ Dir string }

// DefaultDir is where connections lie: $CURFEW_CONFIG, or curfew in the person's
// configuration directory ($XDG_CONFIG_HOME).
func DefaultDir(getenv func(string) string) (string, error) {
	if dir := getenv("CURFEW_CONFIG"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "curfew"), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration directory: %w", err)
	}
	return filepath.Join(dir, "curfew"), nil
}

func (s Store) file(name string) string {
	// ":" is not for file names everywhere.
	return filepath.Join(s.Dir, "connections", strings.ReplaceAll(name, ":", "+")+".json")
}

// Save writes a connection, whole or not at all.
func (s Store) Save(c *Connection) error {
	if err := os.MkdirAll(filepath.Join(s.Dir, "connections"), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return replace(s.file(c.Name), append(b, '\n'))
}

// replace writes a file of mode 0600 and waits for the disk: a refresh token
// whose successor was handed out is dead, so the successor must not get lost.
func replace(file string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// Load returns a connection by name; the empty name is the current one.
// ErrNotConnected.
func (s Store) Load(name string) (*Connection, error) {
	if name == "" {
		var err error
		if name, err = s.Current(); err != nil {
			return nil, err
		}
	}
	if !plainName(name) {
		return nil, fmt.Errorf("%w to %q", ErrNotConnected, name)
	}
	b, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w to %s", ErrNotConnected, name)
	}
	if err != nil {
		return nil, err
	}
	c := &Connection{Name: name}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("read connection %s: %w", name, err)
	}
	// The file may have been edited.
	if c.Base, _, err = Address(c.Base); err != nil {
		return nil, fmt.Errorf("read connection %s: %w", name, err)
	}
	return c, nil
}

// List returns the names of all connections, in order.
func (s Store) List() ([]string, error) {
	all, err := os.ReadDir(filepath.Join(s.Dir, "connections"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range all {
		if n, ok := strings.CutSuffix(e.Name(), ".json"); ok && !strings.HasPrefix(n, ".") {
			names = append(names, strings.ReplaceAll(n, "+", ":"))
		}
	}
	slices.Sort(names)
	return names, err
}

// Current returns the name of the connection that commands use. ErrNotConnected.
func (s Store) Current() (string, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, "current"))
	if name := strings.TrimSpace(string(b)); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return "", ErrNotConnected
}

// Use makes a connection the current one.
func (s Store) Use(name string) error {
	if _, err := s.Load(name); err != nil {
		return err
	}
	return replace(filepath.Join(s.Dir, "current"), []byte(name+"\n"))
}

// Remove forgets a connection. When it was the current one and one other is
// left, that becomes current. It returns the name of the current one, if any.
func (s Store) Remove(name string) (current string, err error) {
	if err := os.Remove(s.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	current, err = s.Current()
	if err != nil && !errors.Is(err, ErrNotConnected) || err == nil && current != name {
		return current, err
	}
	names, err := s.List()
	if err == nil && len(names) == 1 {
		return names[0], s.Use(names[0])
	}
	if rerr := os.Remove(filepath.Join(s.Dir, "current")); err == nil && rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return "", err
}

// Lock takes a connection's lock, which is held while its refresh token is being
// presented, across processes. It waits at most 30 seconds.
func (s Store) Lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(s.Dir, "connections"), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(strings.TrimSuffix(s.file(name), ".json")+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for wait := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ok, err := tryLock(f)
		if ok {
			return func() { f.Close() }, nil // closing lets go
		}
		if err == nil && time.Now().After(wait) {
			err = errors.New("another curfew has held it for 30 s")
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock connection %s: %w", name, err)
		}
	}
}

// Address checks a server's address and returns it as connections hold it, with
// the name of the connection.
func Address(raw string) (base, name string, err error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.Opaque != "" {
		return "", "", fmt.Errorf("%q is no address such as https://id.contoso.example", raw)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "", fmt.Errorf("%q begins neither with https:// nor with http://", raw)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("%q has more than host, port and path", raw)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", "", errors.New("plain http is for loopback addresses only: credentials would travel in the clear")
	}
	u.Host = strings.ToLower(u.Host)
	base = u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/")
	name = strings.NewReplacer("[", "", "]", "", "/", "_", "+", "_", "%", "_").Replace(u.Host + strings.TrimRight(u.Path, "/"))
	return base, name, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// plainName keeps a name inside the directory.
func plainName(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, `/\+`) && filepath.IsLocal(strings.ReplaceAll(name, ":", "+"))
}
