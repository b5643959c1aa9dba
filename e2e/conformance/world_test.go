package conformance_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
)

// What docs/conformance.md calls the server and the suite.
const (
	docsBase = "https://id.contoso.example"
	suite    = "https://suite.example/test/a/curfew"
	callback = suite + "/callback"
	outback  = suite + "/post_logout_redirect"
	user     = "ada@contoso.example"
	password = "correct horse battery"
)

// A provider is a server under test, with the two clients of the suite.
type provider struct {
	base      string
	meta      metadata
	doc       string // as served
	conf      suiteConfig
	transport *http.Transport
	// notices are what came to the suite's back-channel logout address, outside.
	notices chan notice
	outside string

	mu    sync.Mutex
	ahead time.Duration // guarded by mu: the server's clock, and the suite's, of the machine's
}

// A notice is a request to the back-channel logout address.
type notice struct {
	method, kind string
	form         url.Values
}

// suiteConfig is the suite's configuration, as far as it is used here.
type suiteConfig struct {
	Server struct {
		DiscoveryURL string `json:"discoveryUrl"`
		LoginHint    string `json:"login_hint"`
	}
	Client   credentials
	Post     credentials `json:"client_secret_post"`
	Client2  credentials
	Browser  []page
	Override map[string]struct{ Browser []page }
}

type credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// now is the server's clock, and the suite's.
func (p *provider) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.ahead)
}

// wait lets time pass for everybody.
func (p *provider) wait(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead += d
}

// block is the first code block of a language in docs/conformance.md.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n```"+language+"\n")
	body, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("docs/conformance.md has no block of %s", language)
	}
	return body
}

// open starts a server on an empty folder, as curfew serve does, and registers what
// docs/conformance.md says. change may change the registration and the settings.
func open(t *testing.T, change ...func(manifest *string, cfg *config.Config)) *provider {
	t.Helper()
	p := &provider{notices: make(chan notice, 16)}
	hears := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Errorf("back-channel notice: %v", err)
		}
		p.notices <- notice{r.Method, r.Header.Get("Content-Type"), r.PostForm}
		w.Header().Set("Cache-Control", "no-store")
	}))
	t.Cleanup(hears.Close)
	p.outside = hears.URL + "/backchannel_logout"
	dir := t.TempDir()
	manifest := strings.ReplaceAll(block(t, "toml"), suite+"/backchannel_logout", p.outside)
	file := filepath.Join(dir, "conformance.toml")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Apply, cfg.Egress = filepath.Join(dir, "data"), l.Addr().String(), file, "127.0.0.1"
	cfg.PublicURL = fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	for _, f := range change {
		f(&manifest, &cfg)
	}
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := server.OpenAt(t.Context(), cfg, slog.New(slog.DiscardHandler), p.now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	ca, err := server.LocalCA(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	p.base, p.transport = cfg.PublicURL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(p.transport.CloseIdleConnections)
	conf := strings.ReplaceAll(block(t, "json"), docsBase, p.base)
	if err := json.Unmarshal([]byte(conf), &p.conf); err != nil {
		t.Fatalf("docs/conformance.md: %v", err)
	}
	res, text := p.send(t, http.MethodGet, p.conf.Server.DiscoveryURL, "", nil)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("discovery: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	p.doc = text
	if err := json.Unmarshal([]byte(text), &p.meta); err != nil {
		t.Fatal(err)
	}
	return p
}

// send asks without a browser. authorization may be empty; a form is posted.
func (p *provider) send(t *testing.T, method, addr, authorization string, form url.Values) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, addr, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res, err := p.transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}
