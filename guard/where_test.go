package guard_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

// from shows a token from an address; "" is one that cannot be read.
func from(h http.Handler, token, address string) *http.Response {
	r := httptest.NewRequest("GET", "https://mail.contoso.example/inbox", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if r.RemoteAddr = "@"; address != "" {
		r.RemoteAddr = address + ":4711"
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func served(t *testing.T, h http.Handler, token, address string, status int) *http.Response {
	t.Helper()
	resp := from(h, token, address)
	if resp.StatusCode != status {
		t.Fatalf("from %q: %d %s, want %d", address, resp.StatusCode, resp.Header.Get("WWW-Authenticate"), status)
	}
	return resp
}

const home, cafe, office = "192.0.2.7", "198.51.100.7", "203.0.113.7"

// notFrom is a server that refuses from one address, and whose answers depend on it.
func notFrom(address string) func(guardtest.Question) guardtest.Verdict {
	return func(q guardtest.Question) guardtest.Verdict {
		if !q.Address.IsValid() || q.Address.String() == address {
			return guardtest.Verdict{Refused: "place"}
		}
		return guardtest.Verdict{Here: true}
	}
}

func TestATokenForOneAddressIsAskedForFromOthers(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(ok)
		srv.Judge(notFrom(cafe))
		located := map[string]any{"from": home}
		token := srv.Token(guardtest.Token{User: ada, Claims: located})
		for range 3 {
			served(t, h, token, home, 200)
		}
		asked(t, srv, 0)
		for range 3 {
			served(t, h, token, office, 200)
			served(t, h, token, home, 200)
		}
		asked(t, srv, 1)
		if resp := served(t, h, token, cafe, 401); !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Error(resp.Header)
		}
		served(t, h, token, cafe, 401)
		served(t, h, token, home, 200) // nobody else's address keeps its owner out
		asked(t, srv, 2)
		served(t, h, token, "", 401)
		if kind(g, token) != guard.Outside { // and Check knows no address
			t.Error("taken from an address that is not known")
		}
		capable := srv.Token(guardtest.Token{User: ada, CP1: true, Claims: located})
		challenge := served(t, h, capable, cafe, 401).Header.Get("WWW-Authenticate")
		_, claims, _ := strings.Cut(challenge, `claims="`)
		claims, _, _ = strings.Cut(claims, `"`)
		b, err := base64.StdEncoding.DecodeString(claims)
		if !strings.Contains(challenge, `error="insufficient_claims"`) || err != nil || !strings.HasSuffix(string(b), `},"xms_caeerror":{"value":"10012"}}}`) {
			t.Errorf("%s %s", challenge, b)
		}
		for _, bad := range []any{"unknown", "", "192.0.2.0/24"} { // nobody's
			served(t, h, srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"from": bad}}), cafe, 401)
		}
		served(t, h, srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"from": 7}}), home, 401)
	})
}

// A doubt covers every address that was admitted before it, whichever is asked for
// first, and whether the answer knows the line or not.
func TestADoubtIsAnsweredForEachAddress(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(ok)
		srv.Judge(notFrom("nowhere"))
		token := srv.Token(guardtest.Token{User: ada}) // born under no policy about places
		served(t, h, token, cafe, 200)
		asked(t, srv, 0)
		srv.JudgeAgain()
		settle()
		served(t, h, token, home, 200)
		served(t, h, token, cafe, 200) // now it depends, so that one is asked for too
		asked(t, srv, 2)
		srv.Judge(notFrom(cafe))
		srv.JudgeAgain()
		settle()
		served(t, h, token, home, 200) // judged by the new rules
		served(t, h, token, cafe, 401) // what was admitted before is not
		asked(t, srv, 4)
		srv.Judge(func(guardtest.Question) guardtest.Verdict { return guardtest.Verdict{} })
		srv.JudgeAgain()
		settle()
		served(t, h, token, home, 200)
		served(t, h, token, cafe, 200) // the policy is gone: one answer for all
		served(t, h, token, office, 200)
		asked(t, srv, 5)
	})
}

// An answer about another address may know a line that is still on its way here. What
// was admitted before that line is not admitted by it.
func TestAnAnswerForOneAddressSaysNothingOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(ok)
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"from": cafe}})
		served(t, h, token, cafe, 200)
		settle()
		srv.Delay(0, 2*time.Second) // the next line comes late
		srv.CloseStreams(true)
		settle()
		srv.Judge(notFrom(cafe))
		srv.JudgeAgain()
		srv.Delay(0, 0)
		served(t, h, token, home, 200) // judged up to the line that is not here
		time.Sleep(6 * time.Second)
		settle()
		served(t, h, token, home, 200)
		asked(t, srv, 1)
		served(t, h, token, cafe, 401)
	})
}

func TestAddressesAreRememberedWithinBounds(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(ok)
		srv.Judge(notFrom(cafe))
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"from": home}})
		for i := range 100 {
			served(t, h, token, fmt.Sprint("10.0.0.", i), 200)
		}
		asked(t, srv, 100)
		served(t, h, token, "10.0.0.99", 200)
		asked(t, srv, 100)
		served(t, h, token, "10.0.0.1", 200)
		asked(t, srv, 101)
	})
}

func TestWhereNobodyCanBeAskedATokenIsGoodFromItsAddressOnly(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(ok)
		token := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"from": home}})
		srv.Judge(always(guardtest.Verdict{Status: 503}))
		served(t, h, token, home, 200)
		served(t, h, token, office, 503)
	})
}

func TestRequireContext(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		g := srv.Guard(t)
		h := g.Middleware(g.RequireContext("c1")(ok))
		with := func(cp1 bool, acrs ...string) string {
			return "Bearer " + srv.Token(guardtest.Token{User: ada, CP1: cp1, Claims: map[string]any{"acrs": acrs}})
		}
		for _, acrs := range [][]string{{"c1"}, {"c2", "C1"}} {
			if resp := get(h, with(true, acrs...)); resp.StatusCode != 200 {
				t.Errorf("%v: %d", acrs, resp.StatusCode)
			}
		}
		for _, acrs := range [][]string{{}, {"c2"}, {"c11"}} {
			resp := get(h, with(true, acrs...))
			p := params(t, resp)
			b, err := base64.StdEncoding.DecodeString(p["claims"])
			if resp.StatusCode != 401 || p["error"] != "insufficient_user_authentication" || err != nil || string(b) != `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}` {
				t.Errorf("%v: %d %v %s", acrs, resp.StatusCode, p, b)
			}
			if p := params(t, get(h, with(false, acrs...))); p["claims"] != "" || p["acr_values"] != "c1" {
				t.Errorf("%v, a client that does not understand claims: %v", acrs, p)
			}
		}
	})
}
