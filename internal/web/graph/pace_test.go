package graph

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRevokingOneselfTooOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 11 {
		delete(w.tokens, "ada") // the one before revoked itself
		res := w.do("POST", "/v1.0/me/revokeSignInSessions", w.token("ada"), nil, nil)
		if i < 10 {
			if res.StatusCode != 200 {
				t.Fatalf("%d: status %d", i+1, res.StatusCode)
			}
			continue
		}
		var body struct {
			Error struct{ Code, Message string }
		}
		w.must(json.NewDecoder(res.Body).Decode(&body))
		if res.StatusCode != 429 || res.Header.Get("Retry-After") != "30" || body.Error.Code != "TooManyRequests" || !strings.Contains(body.Error.Message, "Try again in 30 seconds.") {
			t.Errorf("%d, Retry-After %q, %+v", res.StatusCode, res.Header.Get("Retry-After"), body)
		}
		if res := w.do("GET", "/v1.0/me", w.token("ada"), nil, nil); res.StatusCode != 200 {
			t.Errorf("refused, and the token is dead: %d", res.StatusCode)
		}
	}
	if res := w.do("POST", "/v1.0/users/"+w.names["ada"]+"/revokeSignInSessions", w.token("grace"), nil, nil); res.StatusCode != 200 {
		t.Errorf("by an administrator: %d", res.StatusCode)
	}
}
