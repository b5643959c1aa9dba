package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestEveryAddressThatIsNotPublicHasAClass(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]class{
		"8.8.8.8": public, "1.1.1.1": public, "99.255.255.255": public, "100.128.0.1": public, "172.15.255.255": public, "172.32.0.1": public,
		"2606:4700::1111": public, "2a00:1450::1": public, "::ffff:8.8.8.8": public, "64:ff9b::808:808": public,

		"127.0.0.1": loopback, "127.255.255.254": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback, "64:ff9b::7f00:1": loopback,
		"10.0.0.1": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private, "100.64.0.1": private, "100.127.255.255": private,
		"fc00::1": private, "fd12:3456::1": private, "::ffff:10.0.0.1": private, "64:ff9b::a00:1": private,
		"169.254.1.1": linkLocal, "fe80::1": linkLocal, "febf::1": linkLocal, "fe80::1%eth0": linkLocal, "::ffff:169.254.1.1": linkLocal,
		"224.0.0.1": multicast, "239.255.255.255": multicast, "ff02::1": multicast, "ff0e::1": multicast, "::ffff:224.0.0.1": multicast,
		"0.0.0.0": unspecified, "::": unspecified, "::ffff:0.0.0.0": unspecified, "64:ff9b::": unspecified,
		"0.1.2.3": reserved, "192.0.0.1": reserved, "192.0.2.1": reserved, "198.18.0.1": reserved, "198.19.255.255": reserved, "198.51.100.7": reserved,
		"203.0.113.7": reserved, "240.0.0.1": reserved, "255.255.255.255": reserved, "192.88.99.1": reserved,
		"2001:db8::1": reserved, "2001:20::1": reserved, "3fff::1": reserved, "4000::1": reserved, "fec0::1": reserved, "100::1": reserved, "5f00::1": reserved,
		"2002:7f00:1::": embedded, "2002:808:808::1": embedded, "2001::1": embedded, "64:ff9b:1::a00:1": embedded, "::7f00:1": embedded, "::8.8.8.8": embedded,
		"169.254.169.254": metadata, "::ffff:169.254.169.254": metadata, "64:ff9b::a9fe:a9fe": metadata, "169.254.170.2": metadata, "168.63.129.16": metadata,
		"100.100.100.200": metadata, "192.0.0.192": metadata, "fd00:ec2::254": metadata, "fd20:ce::254": metadata,
	} {
		if got := classify(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := classify(netip.Addr{}); got != unspecified {
		t.Errorf("no address at all: %q", got)
	}
}

func TestAnAddressIsJudgedWhenItIsWrittenDown(t *testing.T) {
	t.Parallel()
	zero, open := &Client{}, &Client{Allow: allow(t, "127.0.0.0/8, ::1, 10.1.0.0/16 app.corp.example")}
	for _, c := range []struct {
		raw        string
		zero, open bool
	}{
		{"https://app.contoso.example/logout?x=1", true, true},
		{"https://app.contoso.example:8443/", true, true},
		{"https://8.8.8.8/", true, true},
		{"https://[2606:4700::1111]/", true, true},
		{"https://APP.contoso.example./", true, true},
		{"https://xn--bcher-kva.example/", true, true},

		{"http://app.contoso.example/", false, false},
		{"http://8.8.8.8/", false, false},
		{"ftp://app.contoso.example/", false, false},
		{"//app.contoso.example/", false, false},
		{"https:///logout", false, false},
		{"https:app.contoso.example", false, false},
		{"https://", false, false},
		{"", false, false},
		{"https://ada@app.contoso.example/", false, false},
		{"https://8.8.8.8@app.contoso.example/", false, false},
		{"https://app.contoso.example/#part", false, false},
		{"https://app.contoso.example/#", false, false},
		{"https://app.contoso.example\\@127.0.0.1/", false, false},
		{"https://app.contoso.example/\r\nHost: x", false, false},
		{"https://app.contoso.example/a b", false, false},
		{"https://bücher.example/", false, false},
		{"https://app..example/", false, false},
		{"https://" + strings.Repeat("a", 64) + ".example/", false, false},
		{"https://app.contoso.example/" + strings.Repeat("a", 2048), false, false},

		{"https://127.0.0.1/", false, true},
		{"http://127.0.0.1:8080/", false, true},
		{"http://localhost:8080/", false, true},
		{"https://sub.LOCALHOST/", false, true},
		{"http://[::1]:8080/", false, true},
		{"https://[::ffff:127.0.0.1]/", false, true},
		{"https://10.1.2.3/", false, true},
		{"http://10.1.2.3/", false, false}, // plain http stays on this machine
		{"https://10.2.2.3/", false, false},
		{"http://app.corp.example/", false, false},
		{"https://0.0.0.0/", false, false},
		{"https://169.254.169.254/latest/meta-data", false, false},
		{"https://[fe80::1%25eth0]/", false, false},

		// Other spellings of 127.0.0.1, which some resolvers read.
		{"https://2130706433/", false, false},
		{"https://0x7f000001/", false, false},
		{"https://0x7f.1/", false, false},
		{"https://127.1/", false, false},
		{"https://0177.0.0.1/", false, false},
		{"https://127.0.0.0x1/", false, false},
	} {
		for name, client := range map[string]*Client{"nothing opened": zero, "opened": open} {
			err, want := client.Check(c.raw), c.zero
			if client == open {
				want = c.open
			}
			if (err == nil) != want || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %.60q: %v, want allowed %v", name, c.raw, err, want)
			}
		}
	}
}

func TestNothingOpensTheMachinesOwnCredentials(t *testing.T) {
	t.Parallel()
	c := &Client{Allow: allow(t, "0.0.0.0/0 ::/0 meta.contoso.example"), Resolve: answers("169.254.169.254")}
	for _, raw := range []string{"https://169.254.169.254/", "https://[fd00:ec2::254]/", "https://0.0.0.0/", "https://224.0.0.1/", "https://[2002:7f00:1::]/"} {
		if err := c.Check(raw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if _, err := c.Get(t.Context(), "https://meta.contoso.example/", nil); !fault.Is(err, fault.Denied) {
		t.Errorf("by name: %v", err)
	}
}

func TestTheListOfTheOperatorIsRead(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"10.0.0.0/33", "https://app.example", "app.example:443", "10.0.0", "fe80::1%eth0", "a..b", "*"} {
		if _, err := ParseAllow(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if a, err := ParseAllow(" "); err != nil || a.nets != nil || a.hosts != nil {
		t.Errorf("an empty list opens something: %v %v", a, err)
	}
}

func TestAPublicNameThatLeadsInsideIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, found := range [][]string{{"127.0.0.1"}, {"10.0.0.1"}, {"8.8.8.8", "10.0.0.1"}, {"::ffff:127.0.0.1"}, {"64:ff9b::7f00:1"}, {"169.254.169.254"}, {"fd00::1"}, {"2002:7f00:1::"}} {
		c := &Client{Resolve: answers(found...), Timeout: time.Second}
		_, err := c.Get(t.Context(), "https://app.contoso.example/secret?code=1", nil)
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%v: %v", found, err)
		}
		for _, word := range append(found, "secret", "code=1") {
			if strings.Contains(fmt.Sprint(err), word) {
				t.Errorf("%v: the error tells %q: %v", found, word, err)
			}
		}
	}
}

func TestTheAddressThatWasJudgedIsTheOneThatIsAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	trap := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer trap.Close()
	var looks atomic.Int32
	c := &Client{Timeout: 300 * time.Millisecond, Roots: roots(trap), Resolve: func(context.Context, string) ([]netip.Addr, error) {
		// First a public address where nothing answers, from then on the inside.
		if looks.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}, Allow: allow(t, "192.0.2.0/24")}
	_, port, _ := net.SplitHostPort(trap.Listener.Addr().String())
	for range 2 {
		if _, err := c.Get(t.Context(), "https://example.com:"+port+"/", nil); err == nil {
			t.Error("an answer from the inside")
		}
	}
	if looks.Load() != 2 || asked.Load() != 0 {
		t.Errorf("%d looks at the DNS for 2 requests, %d requests reached the inside", looks.Load(), asked.Load())
	}
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inside" {
			inside.Add(1)
		}
		w.Header().Set("Set-Cookie", "a=b; Path=/")
		http.Redirect(w, r, "/inside", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	a, err := client(t, server).Post(t.Context(), server.URL+"/", nil, []byte("x"))
	if err != nil || a.Status != http.StatusTemporaryRedirect || inside.Load() != 0 {
		t.Errorf("%+v %v, followed %d times", a, err, inside.Load())
	}
}

func TestARequestCarriesOnlyWhatItWasGiven(t *testing.T) {
	t.Parallel()
	var got http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("Set-Cookie", "a=b; Path=/")
	}))
	defer server.Close()
	c := client(t, server)
	header := http.Header{"Accept": {"application/json"}}
	for range 2 {
		if _, err := c.Get(t.Context(), server.URL+"/", header); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || got.Get("Accept") != "application/json" || got.Get("User-Agent") != UserAgent {
		t.Errorf("sent %v", got)
	}
	if len(header) != 1 {
		t.Errorf("the caller's header was written to: %v", header)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	c := &Client{Timeout: time.Second, Resolve: answers("10.0.0.1")}
	if _, err := c.Get(t.Context(), "https://app.contoso.example/", nil); !fault.Is(err, fault.Denied) || asked.Load() != 0 {
		t.Errorf("%v, the proxy was asked %d times", err, asked.Load())
	}
	c.start()
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport knows a proxy")
	}
}

func TestAnAnswerIsBoundedInLengthAndTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, strings.Repeat("x", 1001))
	}))
	defer server.Close()
	c := client(t, server)
	c.MaxBody, c.Timeout = 1001, 200*time.Millisecond
	if a, err := c.Get(t.Context(), server.URL+"/", nil); err != nil || len(a.Body) != 1001 {
		t.Errorf("at the limit: %v", err)
	}
	short := client(t, server)
	short.MaxBody = 1000
	if _, err := short.Get(t.Context(), server.URL+"/", nil); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "xxx") {
		t.Errorf("above the limit: %v", err)
	}
	start := time.Now()
	if _, err := c.Get(t.Context(), server.URL+"/slow?code=1", nil); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "code=1") {
		t.Errorf("a body that does not end: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("waited %v", took)
	}
}

func TestOnlyGoodCertificatesAndModernTLSAreAccepted(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	stranger := client(t, server)
	stranger.Roots = x509.NewCertPool()
	if _, err := stranger.Get(t.Context(), server.URL, nil); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Public(err), "certificate") {
		t.Errorf("an unknown CA: %v", err)
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	if _, err := client(t, old).Get(t.Context(), old.URL, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestPlainHTTPReachesLoopbackThatWasOpened(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	c := &Client{Allow: allow(t, "127.0.0.1")}
	if a, err := c.Post(t.Context(), server.URL+"/logout", nil, nil); err != nil || a.Status != http.StatusNoContent {
		t.Errorf("%+v %v", a, err)
	}
	// A name that says it is this machine, and a resolver that says otherwise.
	for _, elsewhere := range []string{"10.0.0.1", "8.8.8.8"} {
		c = &Client{Allow: allow(t, "127.0.0.1 10.0.0.0/8 app.localhost"), Resolve: answers(elsewhere)}
		if _, err := c.Get(t.Context(), "http://app.localhost/", nil); !fault.Is(err, fault.Denied) {
			t.Errorf("localhost at %s: %v", elsewhere, err)
		}
	}
}

// FuzzCheck holds the rules against whatever can be written.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://app.contoso.example/", "https://[::1]/", "https://127.1", "http://localhost", "https://a@b", "https://[::ffff:7f00:1]:1/", "https://0x7f.1/", "HTTPS://A.B", "https://8.8.8.8:99999/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c := &Client{}
		u, err := c.parse(raw)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Host == "" {
			t.Errorf("%q was accepted", raw)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && classify(ip) != public {
			t.Errorf("%q leads to %s", raw, classify(ip))
		}
		if net.ParseIP(u.Hostname()) == nil && !strings.ContainsAny(u.Hostname(), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") {
			t.Errorf("%q is a name that is a number", raw)
		}
	})
}

func allow(t *testing.T, list string) Allow {
	t.Helper()
	a, err := ParseAllow(list)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answers(list ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var ips []netip.Addr
		for _, s := range list {
			ips = append(ips, netip.MustParseAddr(s))
		}
		return ips, nil
	}
}

func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func client(t *testing.T, s *httptest.Server) *Client {
	t.Helper()
	c := &Client{Allow: allow(t, "127.0.0.1"), Roots: roots(s), Timeout: 5 * time.Second}
	t.Cleanup(c.Close)
	return c
}
