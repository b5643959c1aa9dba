package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/fault"
)

var update = flag.Bool("update", false, "rewrite docs/config.md")

func TestReferencePageIsCurrent(t *testing.T) {
	const page = "../../docs/config.md"
	if *update {
		if err := os.WriteFile(page, []byte(config.Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != config.Reference() {
		t.Fatalf("docs/config.md is not what the struct says (%v); run go test ./internal/config -update", err)
	}
}

func TestFlagsOverEnvironmentOverFileOverDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	os.WriteFile(file, []byte("listen = \"127.0.0.1:1\"\ndata = \"from-file\"\n"), 0o600)
	t.Setenv("CURFEW_DATA", "from-env")
	c, err := config.Load(file)
	if err != nil || c.Data != "from-env" || c.Listen != "127.0.0.1:1" || c.TLS != "local" {
		t.Fatalf("%+v %v", c, err)
	}
	os.WriteFile(file, []byte("lisen = \"127.0.0.1:1\"\n"), 0o600)
	if _, err := config.Load(file); !fault.Is(err, fault.Invalid) {
		t.Fatalf("an unknown key: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		ok     bool
		url    string
	}{
		{"default", func(c *config.Config) {}, true, "https://localhost:8443"},
		{"off", func(c *config.Config) { c.TLS = "off" }, true, "http://localhost:8443"},
		{"slash", func(c *config.Config) { c.PublicURL = "https://id.contoso.example/" }, true, "https://id.contoso.example"},
		{"path", func(c *config.Config) { c.PublicURL = "https://id.contoso.example/curfew" }, false, ""},
		{"http outside", func(c *config.Config) { c.PublicURL = "http://id.contoso.example" }, false, ""},
		{"the word token", func(c *config.Config) { c.PublicURL = "https://tokens.contoso.example" }, false, ""},
		{"user", func(c *config.Config) { c.PublicURL = "https://a@contoso.example" }, false, ""},
		{"no port", func(c *config.Config) { c.Listen = "localhost" }, false, ""},
		{"files without files", func(c *config.Config) { c.TLS = "files" }, false, ""},
		{"a mail server", func(c *config.Config) {
			c.SMTP, c.MailFrom, c.Reset = "smtp://mail.contoso.example:587", "Contoso <curfew@contoso.example>", "mail"
		}, true, "https://localhost:8443"},
		{"a mail server without a sender", func(c *config.Config) { c.SMTP = "smtp://mail.contoso.example:587" }, false, ""},
		{"a mail server with a password", func(c *config.Config) {
			c.SMTP, c.MailFrom = "smtp://u:secret@mail.contoso.example", "curfew@contoso.example"
		}, false, ""},
		{"a mail server in the clear", func(c *config.Config) {
			c.SMTP, c.MailFrom = "smtp+plain://mail.contoso.example", "curfew@contoso.example"
		}, false, ""},
		{"a mail server in the clear here", func(c *config.Config) { c.SMTP, c.MailFrom = "smtp+plain://127.0.0.1:25", "curfew@contoso.example" }, true, "https://localhost:8443"},
		{"resets without a mail server", func(c *config.Config) { c.Reset = "mail" }, false, ""},
		{"resets by pigeon", func(c *config.Config) { c.Reset = "pigeon" }, false, ""},
		{"remembered for a month", func(c *config.Config) { c.Remember = "30" }, true, "https://localhost:8443"},
		{"remembered for two years", func(c *config.Config) { c.Remember = "730" }, false, ""},
		{"remembered for a while", func(c *config.Config) { c.Remember = "a while" }, false, ""},
		{"no log of sign-ins", func(c *config.Config) { c.SignInLog = "off" }, true, "https://localhost:8443"},
		{"a log of two minutes", func(c *config.Config) { c.SignInLog = "2m" }, false, ""},
		{"a log of no time", func(c *config.Config) { c.SignInLog = "0s" }, false, ""},
		{"a log of 30d", func(c *config.Config) { c.SignInLog = "30d" }, false, ""},
		{"unknown tls", func(c *config.Config) { c.TLS = "on" }, false, ""},
		{"mutual TLS", func(c *config.Config) { c.MTLSListen = "127.0.0.1:8444" }, true, "https://localhost:8443"},
		{"mutual TLS without TLS", func(c *config.Config) { c.MTLSListen, c.TLS = "127.0.0.1:8444", "off" }, false, ""},
		{"mutual TLS on the same port", func(c *config.Config) { c.MTLSListen = c.Listen }, false, ""},
		{"mutual TLS without a port", func(c *config.Config) { c.MTLSListen = "localhost" }, false, ""},
		{"a URL for mutual TLS without it", func(c *config.Config) { c.MTLSURL = "https://mtls.contoso.example" }, false, ""},
		{"a URL for mutual TLS with a path", func(c *config.Config) { c.MTLSListen, c.MTLSURL = "127.0.0.1:8444", "https://mtls.contoso.example/x" }, false, ""},
		{"unknown level", func(c *config.Config) { c.LogLevel = "loud" }, false, ""},
	} {
		c := config.Default()
		tt.change(&c)
		err := c.Check()
		if (err == nil) != tt.ok || tt.ok && c.PublicURL != tt.url {
			t.Errorf("%s: %v, %s", tt.name, err, c.PublicURL)
		}
	}
}
