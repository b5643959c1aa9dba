package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of a call.
const (
	callTime = 30 * time.Second
	longTime = 15 * time.Minute // an import, an apply
	maxBody  = 64 << 20
)

// Client makes calls over one connection. Its methods may be called at once.
type Client struct {
	Agent string           // User-Agent
	Now   func() time.Time // nil: time.Now

	store Store
	http  *http.Client

	mu   sync.Mutex // over conn.Token
	conn *Connection
}

// New returns a client for a connection. Tokens that are renewed are saved in store.
func New(store Store, conn *Connection) (*Client, error) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConnsPerHost = 16
	tr.ResponseHeaderTimeout = longTime
	if conn.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(conn.CA)) {
			return nil, errors.New("there is no certificate in the CA file")
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &Client{Agent: "curfew-cli", store: store, conn: conn, http: &http.Client{Transport: tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Connection returns a copy of the connection as it stands.
func (c *Client) Connection() Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.conn
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// Error is the server's refusal: it understood and did nothing.
type Error struct {
	Status    int
	Code      string // Graph's: "Authorization_RequestDenied"
	Message   string // one or more sentences, safe to show
	RequestID string
	// RetryAfter is how long to wait; zero: not said.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	return cmp.Or(e.Message, "the server answered "+strconv.Itoa(e.Status)+" "+http.StatusText(e.Status))
}

// Denied reports whether a role or permission is missing.
func Denied(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// NotFound reports whether the server knows no such thing.
func NotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// SignedOut: what let us in is over: revoked, expired or never there. Only
// connecting again helps.
type SignedOut struct {
	Base string
	why  error
}

func (e *SignedOut) Error() string {
	if e.why == nil {
		return "not signed in at " + e.Base + " any more"
	}
	return "not signed in at " + e.Base + " any more: " + e.why.Error()
}

func (e *SignedOut) Unwrap() error { return e.why }

// Unreachable: the request never arrived, or cannot have done anything.
type Unreachable struct {
	Base string
	why  error
}

func (e *Unreachable) Error() string {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(e.why, &unknown):
		return "the certificate of " + e.Base + " is signed by nobody this machine believes"
	case errors.Is(e.why, context.DeadlineExceeded):
		return e.Base + " did not answer in time"
	}
	return e.Base + " cannot be reached: " + inner(e.why).Error()
}

func (e *Unreachable) Unwrap() error { return e.why }

// inner drops what net/http says around an error: method and address.
func inner(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

func (c *Client) unreachable(err error) error { return &Unreachable{c.conn.Base, err} }

// Lost: the request was sent and the answer did not come. It may have been done.
type Lost struct{ why error }

func (e *Lost) Error() string { return "the answer was lost: " + inner(e.why).Error() }
func (e *Lost) Unwrap() error { return e.why }

// strange is an answer that is not of our server's making.
func (c *Client) strange(resp *http.Response) error {
	if resp.StatusCode/100 == 3 {
		return fmt.Errorf("%s sends us to %q. Connect to that address, if it is the right one", c.conn.Base, resp.Header.Get("Location"))
	}
	return &Error{Status: resp.StatusCode}
}

func readBody(resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = errors.New("the answer is larger than 64 MiB")
	}
	return b, err
}

// token returns an access token. When the one at hand is used up, or is the one
// that was just refused, it is renewed under the connection's lock; another
// process may have done so meanwhile.
func (c *Client) token(ctx context.Context, refused string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	good := func(t Token) bool { return t.fresh(c.now()) && t.Access != refused }
	if good(c.conn.Token) {
		return c.conn.Token.Access, nil
	}
	if c.conn.Name == "" {
		return "", &SignedOut{Base: c.conn.Base}
	}
	unlock, err := c.store.Lock(c.conn.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	saved, err := c.store.Load(c.conn.Name)
	if errors.Is(err, ErrNotConnected) {
		return "", &SignedOut{Base: c.conn.Base} // disconnected in another terminal
	}
	if err != nil {
		return "", err
	}
	if saved.Base != c.conn.Base {
		return "", &SignedOut{Base: c.conn.Base}
	}
	c.conn.Token = saved.Token
	if good(saved.Token) {
		return saved.Token.Access, nil
	}
	if saved.Token.Refresh == "" {
		return "", &SignedOut{Base: c.conn.Base}
	}
	t, err := c.refresh(ctx, saved.Token)
	var oe *OAuthError
	if errors.As(err, &oe) {
		return "", &SignedOut{Base: c.conn.Base, why: oe}
	}
	if err != nil {
		return "", err
	}
	saved.Token = t
	if err := c.store.Save(saved); err != nil {
		return "", fmt.Errorf("save the renewed credentials: %w", err)
	}
	c.conn.Token = t
	return t.Access, nil
}

// call is one request of the API.
type call struct {
	method, path string
	query        url.Values
	in           any                       // sent as JSON; nil: nothing
	body         func() (io.Reader, error) // instead of in, with kind; each call begins at the start
	kind         string                    // content type of body
	header       map[string]string
	time         time.Duration     // 0: callTime
	answered     func(http.Header) // sees the headers of a good answer
}

// do makes a call and reads its JSON answer into out, if that is not nil.
func (c *Client) do(ctx context.Context, k call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(k.time, callTime))
	defer cancel()
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if k.answered != nil {
		k.answered(resp.Header)
	}
	b, err := readBody(resp)
	if err != nil {
		return c.lost(k, err)
	}
	if out == nil || len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the answer of %s %s is not understood: %w", k.method, k.path, err)
	}
	return nil
}

// send makes a call and returns the answer if it is a good one. The caller closes
// its body.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	var refused string
	for {
		token, err := c.token(ctx, refused)
		if err != nil {
			return nil, err
		}
		resp, err := c.once(ctx, k, token)
		if err != nil {
			return nil, c.lost(k, err)
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		err = c.refusal(resp)
		if resp.StatusCode != http.StatusUnauthorized {
			return nil, err
		}
		// 401 comes before anything is done. A token that was cut (roles changed,
		// say) may have a successor; once.
		if refused != "" {
			return nil, &SignedOut{Base: c.conn.Base, why: err}
		}
		refused = token
	}
}

func (c *Client) once(ctx context.Context, k call, token string) (*http.Response, error) {
	var body io.Reader
	kind := k.kind
	switch {
	case k.body != nil:
		var err error
		if body, err = k.body(); err != nil {
			return nil, &unsent{err}
		}
	case k.in != nil:
		b, err := json.Marshal(k.in)
		if err != nil {
			return nil, &unsent{err}
		}
		body, kind = bytes.NewReader(b), "application/json"
	}
	address := c.conn.Base + "/v1.0" + k.path
	if len(k.query) > 0 {
		address += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, body)
	if err != nil {
		return nil, &unsent{err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", c.Agent)
	req.Header.Set("Accept", "application/json")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for name, v := range k.header {
		req.Header.Set(name, v)
	}
	return c.http.Do(req)
}

// lost tells a read, which is only unanswered, from a write, which may be done.
// A connection that was never made has done nothing.
func (c *Client) lost(k call, err error) error {
	var own *unsent
	if errors.As(err, &own) {
		return own.why
	}
	if k.method == "GET" || notSent(err) {
		return c.unreachable(err)
	}
	return &Lost{err}
}

// refusal reads Graph's error envelope.
func (c *Client) refusal(resp *http.Response) error {
	defer resp.Body.Close()
	b, _ := readBody(resp)
	var doc struct {
		Error struct {
			Code, Message string
			InnerError    struct {
				RequestID string `json:"request-id"`
			}
		}
	}
	if json.Unmarshal(b, &doc) != nil || doc.Error.Code == "" {
		return c.strange(resp)
	}
	e := &Error{Status: resp.StatusCode, Code: doc.Error.Code, Message: doc.Error.Message, RequestID: cmp.Or(doc.Error.InnerError.RequestID, resp.Header.Get("request-id"))}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// events reads an event stream and calls f with the data of each event until f
// returns false or the server says that nothing more will come. A stream that
// breaks off is an error.
func (c *Client) events(ctx context.Context, path string, f func([]byte) bool) error {
	resp, err := c.send(ctx, call{method: "GET", path: path, header: map[string]string{"Accept": "text/event-stream"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 8<<20)
	var name string
	var data []byte
	for lines.Scan() {
		line := lines.Text()
		switch field, text, _ := strings.Cut(line, ":"); {
		case field == "event":
			name = strings.TrimSpace(text)
		case field == "data":
			data = append(append(data, strings.TrimPrefix(text, " ")...), '\n')
		case line == "" && name == "end":
			return nil
		case line == "":
			if len(data) > 0 && name == "" && !f(data) {
				return nil
			}
			name, data = "", data[:0]
		}
	}
	return c.unreachable(cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}
