package graph

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// say sends a JSON body and reads the answer.
func (w *world) say(method, target, who, body string) (int, map[string]any) {
	w.t.Helper()
	res := w.do(method, target, w.token(who), http.Header{"Content-Type": {"application/json"}}, []byte(body))
	b, err := io.ReadAll(res.Body)
	w.must(err)
	var m map[string]any
	w.must(json.Unmarshal(b, &m))
	return res.StatusCode, m
}

func TestSigningKeysAreShownRotatedAndDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	states := func(m map[string]any, member string) (out string) {
		t.Helper()
		for _, k := range m[member].([]any) {
			out += k.(map[string]any)["alg"].(string) + " " + k.(map[string]any)["state"].(string) + " "
		}
		return out
	}
	domain, err := w.Domain(t.Context())
	w.must(err)
	const list, rotate = "/v1.0/curfew/keys", "/v1.0/curfew/keys/rotate"
	code, m := w.say("GET", list, "grace", "")
	if code != 200 || states(m, "value") != "ES256 current " {
		t.Fatalf("%d %v", code, m)
	}
	first := m["value"].([]any)[0].(map[string]any)["id"].(string)
	for _, x := range []struct {
		method, target, who, body string
		want                      int
	}{
		{"GET", list, "ada", "", 403},
		{"GET", list + "?top=1", "grace", "", 400},
		{"POST", rotate, "ada", "{}", 403},
		{"POST", list + "/" + first + "/retire", "ada", "{}", 403},
		{"POST", rotate, "grace", `{"alg":"HS256"}`, 400},
		{"POST", rotate, "grace", `{"alg":7}`, 400},
		{"POST", rotate, "grace", `{"now":"yes"}`, 400},
		{"POST", rotate, "grace", `{"drop":true,"confirm":"` + domain + `"}`, 400},
		{"POST", rotate, "grace", `{"now":true,"drop":true}`, 400},
		{"POST", rotate, "grace", `{"now":true,"drop":true,"confirm":"other.example"}`, 400},
		{"POST", list + "/nonsense/retire", "grace", "{}", 404},
	} {
		if code, m := w.say(x.method, x.target, x.who, x.body); code != x.want {
			t.Errorf("%s %s by %s with %s: %d %v, want %d", x.method, x.target, x.who, x.body, code, m, x.want)
		}
	}
	if code, m = w.say("GET", list, "grace", ""); states(m, "value") != "ES256 current " {
		t.Fatalf("something refused was done: %d %v", code, m)
	}
	if code, m = w.say("POST", rotate, "grace", `{"dryRun":true}`); code != 200 || m["dryRun"] != true || states(m, "keys") != "ES256 current ES256 next " {
		t.Errorf("dry run: %d %v", code, m)
	}
	if code, m = w.say("POST", rotate, "grace", `{}`); code != 200 || m["already"] != false || m["receipt"] != nil || states(m, "keys") != "ES256 current ES256 next " {
		t.Errorf("rotated: %d %v", code, m)
	}
	if code, m = w.say("POST", rotate, "grace", ``); code != 200 || m["already"] != true {
		t.Errorf("rotated again: %d %v", code, m)
	}
	code, m = w.say("POST", rotate, "grace", `{"now":true,"drop":true,"confirm":"`+domain+`","reason":"stolen"}`)
	if code != 200 || states(m, "keys") != "ES256 current " || m["receipt"] == nil || m["keys"].([]any)[0].(map[string]any)["id"] == first {
		t.Fatalf("dropped: %d %v", code, m)
	}
	if code, _ := w.say("GET", list, "grace", ""); code != 401 {
		t.Errorf("the token of who did it is of the dropped key and still works: %d", code)
	}
}
