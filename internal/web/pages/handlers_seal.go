package pages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/signin"
)

// step is what a page's form carries from one step to the next. It proves nothing
// about anybody: who acts is read from the cookie each time.
type step struct {
	// Next is where to go on, an address of ours.
	Next string `json:"n,omitempty"`
	// Ticket is the one of a password that must be changed.
	Ticket string `json:"t,omitempty"`
	// User is the name to show, Keep what was ticked.
	User string `json:"u,omitempty"`
	Keep bool   `json:"k,omitempty"`
	// Session is the one that the page was made for, Shown what it showed: a
	// decision holds for these only.
	Session string `json:"s,omitempty"`
	Shown   string `json:"w,omitempty"`
}

// proof says that a request's wish for a fresh sign-in, or for a choice of the
// account, was met by a session at an instant. It is bound to the whole request, so
// it cannot be carried over to another one; and it is made when the wish was met,
// so that no two clocks are ever compared and nobody is asked again and again.
type proof struct {
	Request  string `json:"r"`
	Session  string `json:"s"`
	AuthTime int64  `json:"a"` // µs; the session's at that instant
	SignedIn bool   `json:"i,omitempty"`
	Expires  int64  `json:"x"`
}

func (s *Server) mac(purpose, body string) []byte {
	m := hmac.New(sha256.New, s.Secret)
	m.Write([]byte(purpose + "\x00" + body))
	return m.Sum(nil)
}

func (s *Server) seal(purpose string, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("pages: " + err.Error()) // our own structs
	}
	body := b64(b)
	return body + "." + b64(s.mac(purpose, body))
}

// unseal reports whether text was sealed here for the purpose, and reads it.
func (s *Server) unseal(purpose, text string, v any) bool {
	body, sum, ok := strings.Cut(text, ".")
	if !ok {
		return false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(sum)
	if err != nil || !hmac.Equal(mac, s.mac(purpose, body)) {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	return err == nil && json.Unmarshal(b, v) == nil
}

// openFlow reads the field flow. What is missing or not ours is an empty flow: the
// form then means nothing but itself.
func (s *Server) openFlow(text string) step {
	var f step
	if !s.unseal("flow", text, &f) || f.Next != "" && !s.ours(f.Next) {
		return step{}
	}
	return f
}

// proofParam is the parameter that carries a proof back to the authorization
// endpoint.
const proofParam = "curfew_proof"

// Onwards is where to go on after a page: next, with a proof if it is a request of
// an application. signedIn: they have proven who they are since they were asked to.
func (s *Server) Onwards(next string, signed *signin.Signed, signedIn bool) string {
	if next == "" {
		return s.home(signed)
	}
	if !strings.Contains(next, "/authorize?") {
		return next
	}
	return next + "&" + proofParam + "=" + s.seal("proof", proof{Request: requestHash(next), Session: signed.Session.ID.String(),
		AuthTime: signed.Session.AuthTime.UnixMicro(), SignedIn: signedIn, Expires: s.Now().Add(s.Issue.Lifetimes.Ticket).Unix()})
}

// proofFor returns the proof that came with a request, if it is one for this
// request and this session as it is now; else the zero one.
func (s *Server) proofFor(next, text string, signed *signin.Signed) (p proof, ok bool) {
	if text == "" || signed == nil || !s.unseal("proof", text, &p) {
		return proof{}, false
	}
	if p.Request != requestHash(next) || p.Session != signed.Session.ID.String() || signed.Session.AuthTime.UnixMicro() < p.AuthTime || s.Now().Unix() >= p.Expires {
		return proof{}, false
	}
	return p, true
}

func requestHash(next string) string {
	sum := sha256.Sum256([]byte(next))
	return b64(sum[:])
}

// withoutProof takes the proof out of a raw query.
func withoutProof(raw string) (rest, proof string) {
	if !strings.Contains(raw, proofParam+"=") {
		return raw, ""
	}
	var keep []string
	for pair := range strings.SplitSeq(raw, "&") {
		if v, ok := strings.CutPrefix(pair, proofParam+"="); ok {
			if u, err := url.QueryUnescape(v); err == nil {
				proof = u
			}
			continue
		}
		keep = append(keep, pair)
	}
	return strings.Join(keep, "&"), proof
}

// tries counts wrong guesses by account, in this process.
type tries struct {
	mu sync.Mutex
	m  map[string]*guesses // guarded by mu
}

type guesses struct {
	n     int
	since time.Time
}

const (
	maxGuesses   = 10
	guessWindow  = 10 * time.Minute
	maxGuessKeys = 10000
)

// spent returns until when no more guesses are taken; zero: go on.
func (t *tries) spent(key string, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.m[key]
	if g == nil || g.n < maxGuesses || now.Sub(g.since) >= guessWindow {
		return time.Time{}
	}
	return g.since.Add(guessWindow)
}

// wrong counts a guess.
func (t *tries) wrong(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[string]*guesses{}
	}
	g := t.m[key]
	if g == nil || now.Sub(g.since) >= guessWindow {
		if len(t.m) >= maxGuessKeys {
			for k, g := range t.m {
				if now.Sub(g.since) >= guessWindow {
					delete(t.m, k)
				}
			}
		}
		g = &guesses{since: now}
		t.m[key] = g
	}
	g.n++
}
