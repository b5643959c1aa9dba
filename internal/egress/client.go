package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

// UserAgent is what every request carries.
const UserAgent = "curfew"

// Client asks other people's servers. The zero Client asks public ones by https.
// Its fields are set before the first use.
type Client struct {
	Allow   Allow
	Roots   *x509.CertPool // nil: the system's
	Timeout time.Duration  // of one request with its answer; zero: 10 s
	MaxBody int64          // bytes of an answer; zero: 1 MiB

	// Resolve finds the addresses of a name; nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)

	once sync.Once
	http *http.Client
}

// Answer is what the other server said, whatever its status. A redirect is an
// answer like any other.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Check reports whether an address could be asked as far as that can be said
// without asking the DNS: for the moment somebody writes it down. Kinds: Invalid.
func (c *Client) Check(raw string) error {
	_, err := c.parse(raw)
	return err
}

// Get asks for raw. header may be nil. Kinds: Invalid (the address), Denied (where
// it leads to), Unavailable (no or no usable answer).
func (c *Client) Get(ctx context.Context, raw string, header http.Header) (*Answer, error) {
	return c.do(ctx, http.MethodGet, raw, header, nil)
}

// Post sends body to raw; header says what it is. Kinds as Get.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body []byte) (*Answer, error) {
	return c.do(ctx, http.MethodPost, raw, header, body)
}

// Close drops idle connections.
func (c *Client) Close() {
	c.once.Do(c.start)
	c.http.CloseIdleConnections()
}

func (c *Client) do(ctx context.Context, method, raw string, header http.Header, body []byte) (*Answer, error) {
	u, err := c.parse(raw)
	if err != nil {
		return nil, err
	}
	c.once.Do(c.start)
	ctx, cancel := context.WithTimeout(ctx, orElse(c.Timeout, 10*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, invalid("The address cannot be asked.")
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("User-Agent", UserAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, failure(u, err)
	}
	defer res.Body.Close()
	limit := orElse(c.MaxBody, 1<<20)
	text, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil { // a server that sees us give up may still end its body properly
		err = ctx.Err()
	}
	switch {
	case err != nil:
		return nil, failure(u, err)
	case int64(len(text)) > limit:
		return nil, fault.New(fault.Unavailable, "The server at "+u.Hostname()+" answered with more than is read.")
	}
	return &Answer{Status: res.StatusCode, Header: res.Header, Body: text}, nil
}

func orElse[N int64 | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}

func (c *Client) start() {
	if c.Resolve == nil {
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	c.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // a small answer stays a small answer
			MaxIdleConnsPerHost:    2,
			MaxConnsPerHost:        8,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// parse reads an address and applies the rules that need no DNS.
func (c *Client) parse(raw string) (*url.URL, error) {
	switch {
	case len(raw) > 2048:
		return nil, invalid("The address is longer than 2048 characters.")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		return nil, invalid("The address holds a character that does not belong into one.")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return nil, invalid("The address must be absolute, such as https://app.contoso.example/logout.")
	case u.User != nil:
		return nil, invalid("The address must not name a user or password.")
	case strings.Contains(raw, "#"):
		return nil, invalid("The address must not have a fragment.")
	}
	host := fold(u.Hostname())
	ip, literal := netip.ParseAddr(host)
	if literal == nil && ip.Zone() != "" || literal != nil && !plainHost(host) {
		return nil, invalid("The address must name its server by host name or plain IP address.")
	}
	kind := public
	switch {
	case literal == nil:
		kind = classify(ip)
	case localhost(host):
		kind = loopback
	}
	if kind != public && !c.Allow.host(host) && !(literal == nil && c.Allow.net(ip.Unmap())) && !(literal != nil && c.opensLoopback()) ||
		kind != public && !kind.opens() {
		return nil, refused(fault.Invalid, host, kind)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && kind == loopback) {
		return nil, invalid("The address must begin with https://.")
	}
	return u, nil
}

// opensLoopback reports whether "localhost" may be asked: what it stands for was
// opened.
func (c *Client) opensLoopback() bool {
	return c.Allow.net(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || c.Allow.net(netip.IPv6Loopback())
}

// dial resolves, judges every address, and connects to one of those it has judged.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := c.addresses(ctx, fold(host))
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	for _, ip := range ips {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// addresses returns where host leads to, or why it must not be asked. One closed
// address closes the name: an honest server has none, and a name that leads here
// and there is how a resolver is played.
func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = []netip.Addr{ip.Unmap()}
	} else if found, err := c.Resolve(ctx, host); err != nil {
		return nil, err
	} else {
		for _, ip := range found {
			ips = append(ips, ip.Unmap())
		}
	}
	if len(ips) == 0 {
		return nil, errors.New("the name has no address")
	}
	for _, ip := range ips {
		kind := classify(ip)
		if kind != public && !(kind.opens() && (c.Allow.host(host) || c.Allow.net(ip))) {
			return nil, refused(fault.Denied, host, kind)
		}
		if localhost(host) && kind != loopback { // it may have been asked in the clear
			return nil, fault.New(fault.Denied, "The address at "+host+" must not be asked: it is not this machine.")
		}
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first: it is there more often
	return ips[:min(len(ips), 4)], nil
}

// localhost reports whether a name stands for this machine (RFC 6761 §6.3).
func localhost(host string) bool { return host == "localhost" || strings.HasSuffix(host, ".localhost") }

// fold is the form in which host names are compared.
func fold(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// plainHost reports whether s is a name for the DNS and cannot be read as an
// address in another spelling (0x7f.1, 2130706433), which some resolvers accept.
func plainHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' }) && !strings.HasPrefix(last, "0x")
}

func invalid(sentence string) error { return fault.New(fault.Invalid, sentence) }

func refused(k fault.Kind, host string, why class) error {
	sentence := "The address at " + host + " must not be asked: it leads to " + string(why) + "."
	if why.opens() {
		sentence += " The operator can open networks and hosts with egress_allow."
	}
	return fault.New(k, sentence)
}

// failure turns what went wrong on the way into a sentence. The cause is for logs;
// it never holds the address in full, which may carry a secret.
func failure(u *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var f *fault.Fault
	if errors.As(err, &f) {
		return f
	}
	what := "did not answer"
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var dead x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &dead):
		what = "showed a certificate that is not good for it"
	case errors.Is(err, context.DeadlineExceeded):
		what = "did not answer in time"
	}
	return fault.Wrap(fault.Unavailable, "The server at "+u.Hostname()+" "+what+".", err)
}
