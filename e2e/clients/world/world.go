package world

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// World is a server with what is around it.
type World struct {
	Base   string // public URL, without a trailing slash
	Tenant string // authority of Microsoft's libraries: Base and the verified domain
	Issuer string // issuer of the tokens made under Tenant
	API    string // the guarded API
	Client *http.Client
	CAFile string // PEM: what Client trusts

	pool *x509.CertPool
	data string // the server's folder

	mu   sync.Mutex      // guards what follows
	apps map[string]*app // people's authenticator apps, by name
}

// Password is everybody's.
const Password = "correct horse battery"

// Names and secrets of the directory.
const (
	Domain    = "contoso.example"
	Ada       = "ada@" + Domain
	Grace     = "grace@" + Domain // Global Administrator
	Native    = "desk"            // public, first party, any loopback port, device code
	Site      = "site"            // confidential, from another publisher: consent is asked
	SiteURL   = "https://site.fabrikam.example/callback"
	Secret    = "an-example-secret-for-the-site"
	Robot     = "robot" // calls as itself
	RobotPass = "an-example-secret-for-the-robot"
	Vault     = "vault" // as Site, but first party, and proves itself by Certificate; calls as itself, too
	VaultURL  = "https://vault.contoso.example/callback"
	Audience  = "api://mail"
	MailRead  = Audience + "/Mail.Read"
	MailAll   = "Mail.Read.All" // the application role of Robot and Vault

	// MailAPI guards the mail, and the archive, which it calls on behalf of people.
	MailAPI         = "mail-api"
	MailAPIPass     = "an-example-secret-for-the-mail-api"
	ArchiveAudience = "api://archive"
	ArchiveRead     = ArchiveAudience + "/Archive.Read"
)

const manifest = `
[directory]
domain = "contoso.example"
name = "Contoso"

[[user]]
name = "ada@contoso.example"
display_name = "Ada Lovelace"
job_title = "Analyst"
password = "correct horse battery"

[[user]]
name = "alan@contoso.example"
display_name = "Alan Turing"

[[user]]
name = "grace@contoso.example"
display_name = "Grace Hopper"
password = "correct horse battery"
roles = ["Global Administrator"]

[[resource]]
id = "api://mail"
name = "Mail"
app_roles = ["Mail.Read.All"]
[[resource.scope]]
name = "Mail.Read"
text = "Read your mail"

[[resource]]
id = "api://archive"
name = "Archive"
[[resource.scope]]
name = "Archive.Read"
text = "Read your archive"

[[app]]
id = "desk"
name = "Desk"
public = true
first_party = true
device_code = true
redirect_uris = ["http://localhost"]
permissions = [
  { resource = "api://mail", scopes = ["Mail.Read"] },
  { resource = "https://graph.microsoft.com", scopes = ["openid", "profile", "email", "User.Read", "Directory.AccessAsUser.All"] },
]

[[app]]
id = "site"
name = "Site"
publisher = "Fabrikam"
redirect_uris = ["https://site.fabrikam.example/callback"]
post_logout_uris = ["https://site.fabrikam.example/bye"]
secret = "an-example-secret-for-the-site"
permissions = [
  { resource = "api://mail", scopes = ["Mail.Read"] },
  { resource = "https://graph.microsoft.com", scopes = ["openid", "profile", "email", "User.Read"] },
]

[[app]]
id = "robot"
name = "Robot"
secret = "an-example-secret-for-the-robot"
app_permissions = [
  { resource = "api://mail", scopes = ["Mail.Read.All"] },
  { resource = "https://graph.microsoft.com", scopes = ["User.Read.All"] },
]

[[app]]
id = "mail-api"
name = "Mail API"
first_party = true
secret = "an-example-secret-for-the-mail-api"
guards = ["api://mail", "api://archive"]
permissions = [{ resource = "api://archive", scopes = ["Archive.Read"] }]

[[app]]
id = "vault"
name = "Vault"
first_party = true
redirect_uris = ["https://vault.contoso.example/callback"]
keys = ['{{certificate}}']
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }]
app_permissions = [{ resource = "api://mail", scopes = ["Mail.Read.All"] }]
`

// Main runs a package's tests and takes away what they built.
func Main(m *testing.M) {
	code := m.Run()
	if bin, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// build makes the binary, once in each test program.
var build = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/curfew-id/curfew").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	dir, err := os.MkdirTemp("", "curfew-clients-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "curfew")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/curfew")
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// Start runs curfew serve on an empty folder, and the API.
func Start(t *testing.T) *World {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, data := filepath.Join(dir, "manifest.toml"), filepath.Join(dir, "data")
	cert, _ := Certificate()
	if err := os.WriteFile(file, []byte(strings.Replace(manifest, "{{certificate}}", jwk(cert), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	// Made before the server: what it prints is what the server will use.
	ca, err := exec.Command(bin, "tls", "ca", "--data", data).Output()
	if err != nil {
		t.Fatalf("tls ca: %v", err)
	}
	w := &World{pool: x509.NewCertPool(), CAFile: filepath.Join(dir, "ca.pem"), data: data, apps: map[string]*app{}}
	for try := 1; ; try++ {
		// The server takes no port 0: its public URL is known before it listens.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		w.Base = fmt.Sprintf("https://localhost:%d", addr.Port)
		said, ok := serve(t, bin, "serve", "--data", data, "--listen", addr.String(), "--public-url", w.Base, "--tls", "local", "--apply", file)
		if ok {
			break
		}
		if try == 3 || !strings.Contains(said, "cannot listen") {
			t.Fatalf("curfew serve did not start:\n%s", said)
		}
	}
	w.Tenant = w.Base + "/" + Domain
	pems := [][]byte{ca, w.serveAPI(t, ca)}
	for _, p := range pems {
		if !w.pool.AppendCertsFromPEM(p) {
			t.Fatal("a CA is not PEM")
		}
	}
	if err := os.WriteFile(w.CAFile, bytes.Join(pems, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Client = w.client(nil)
	res, doc := w.Get(t, w.Tenant+"/v2.0/.well-known/openid-configuration", "")
	var found struct{ Issuer string }
	if err := json.Unmarshal([]byte(doc), &found); err != nil || found.Issuer == "" {
		t.Fatalf("discovery: %d %s (%v)", res.StatusCode, doc, err)
	}
	w.Issuer = found.Issuer
	return w
}

func (w *World) client(jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.pool}, ForceAttemptHTTP2: true}}
}

// serve starts the process and waits until it says that it serves. It ends with
// the test, by an interrupt, and must then exit with 0.
func serve(t *testing.T, bin string, args ...string) (said string, ok bool) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var (
		mu   sync.Mutex // guards text
		text strings.Builder
	)
	up, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		told := false
		r := bufio.NewReader(pipe)
		for {
			line, err := r.ReadString('\n')
			mu.Lock()
			text.WriteString(line)
			mu.Unlock()
			if !told && strings.HasPrefix(line, "curfew serves ") {
				told = true
				close(up)
			}
			if err != nil {
				return
			}
		}
	}()
	saying := func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
	stop := func() error {
		cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		return cmd.Wait()
	}
	select {
	case <-up:
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Errorf("curfew serve, after an interrupt: %v\n%s", err, saying())
			} else if t.Failed() {
				t.Logf("curfew serve said:\n%s", saying())
			}
			if strings.Contains(saying(), "level=ERROR") {
				t.Errorf("curfew serve logged an error:\n%s", saying())
			}
		})
		return "", true
	case <-ended:
		cmd.Wait()
	case <-time.After(30 * time.Second):
		stop()
	}
	return saying(), false
}

// Get asks with a token and returns the answer, its body read.
func (w *World) Get(t *testing.T, addr, token string) (*http.Response, string) {
	t.Helper()
	return w.do(t, http.MethodGet, addr, token)
}

func (w *World) do(t *testing.T, method, addr, token string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := w.Client.Do(r)
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

// Certificate is what Vault proves itself by, made once in each test program.
func Certificate() (*x509.Certificate, *rsa.PrivateKey) {
	x := certificate()
	return x.Leaf, x.PrivateKey.(*rsa.PrivateKey)
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no randomness
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: Vault}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err == nil {
		t, err = x509.ParseCertificate(der)
	}
	if err != nil {
		panic(err) // of our own making
	}
	return tls.Certificate{PrivateKey: key, Leaf: t}
})

// jwk is a certificate as an administrator registers it.
func jwk(c *x509.Certificate) string {
	key, url := c.PublicKey.(*rsa.PublicKey), base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"RSA","use":"sig","n":%q,"e":%q,"x5c":[%q]}`, url(key.N.Bytes()), url(big.NewInt(int64(key.E)).Bytes()), base64.StdEncoding.EncodeToString(c.Raw))
}

func encodePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
