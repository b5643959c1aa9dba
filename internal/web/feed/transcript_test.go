package feed

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// talk plays requests over real HTTP and writes down both sides, with what differs
// from run to run replaced by a name.
type talk struct {
	h     *house
	out   bytes.Buffer
	names []string // pairs: text, name
}

func (k *talk) name(text, name string) { k.names = append(k.names, text, name) }

var (
	cursorText = regexp.MustCompile(`"cursor":"[A-Za-z0-9_-]{43}"`)
	heldText   = regexp.MustCompile(`"held_ms":[0-9.]+`)
)

func basic(id, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(password)))
}

// do sends one request ("GET /feed?…"), headers as "Name: value", and an optional
// body, and returns the answer's body.
func (k *talk) do(first, body string, headers ...string) string {
	k.h.t.Helper()
	method, target, _ := strings.Cut(first, " ")
	req, err := http.NewRequest(method, k.h.url+target, strings.NewReader(body))
	if err != nil {
		k.h.t.Fatal(err)
	}
	fmt.Fprintf(&k.out, "> %s\n", first)
	auth := true
	for _, h := range headers {
		n, v, _ := strings.Cut(h, ": ")
		if n == "Authorization" {
			auth = false
			if v == "" {
				continue
			}
		}
		req.Header.Add(n, v)
		fmt.Fprintf(&k.out, "> %s: %s\n", n, v)
	}
	if auth {
		req.Header.Set("Authorization", basic("mail", secret))
	}
	if body != "" {
		fmt.Fprintf(&k.out, "> \n> %.200s\n", body)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		k.h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		k.h.t.Fatal(err)
	}
	fmt.Fprintf(&k.out, "%s\n", resp.Status)
	for _, n := range []string{"Allow", "Cache-Control", "Content-Type", "Retry-After", "WWW-Authenticate"} {
		for _, v := range resp.Header.Values(n) {
			fmt.Fprintf(&k.out, "%s: %s\n", n, v)
		}
	}
	shown := cursorText.ReplaceAllString(string(text), `"cursor":"CURSOR"`)
	fmt.Fprintf(&k.out, "\n%s\n", heldText.ReplaceAllString(shown, `"held_ms":HELD`))
	return string(text)
}

func (k *talk) say(text string) { fmt.Fprintf(&k.out, "# %s\n", text) }

// check compares with testdata, or rewrites it.
func (k *talk) check(file string) {
	k.h.t.Helper()
	got := strings.NewReplacer(k.names...).Replace(k.out.String())
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			k.h.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			k.h.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		k.h.t.Errorf("%s differs (%v), -update rewrites it; got:\n%s", path, err, got)
	}
}

var idText = regexp.MustCompile(`"process":"([0-9a-f-]{36})"`)

const registerBody = `{"name":"mail-1","resource":"api://mail","max_staleness_ms":10000,"version":"curfew-guard/0.1"}`

const jsonBody = "Content-Type: application/json"

// register registers a process and names it in the transcript.
func (k *talk) register(name string) string {
	k.h.t.Helper()
	m := idText.FindStringSubmatch(k.do("POST /feed", registerBody, jsonBody))
	if m == nil {
		k.h.t.Fatal("not registered:\n" + k.out.String())
	}
	k.name(m[1], name)
	return m[1]
}

func cursorOf(t *testing.T, answer string) string {
	t.Helper()
	m := cursorText.FindString(answer)
	if m == "" {
		t.Fatalf("no cursor in %s", answer)
	}
	return strings.TrimSuffix(strings.TrimPrefix(m, `"cursor":"`), `"`)
}

func TestTheProtocol(t *testing.T) {
	t.Parallel()
	k := &talk{h: newHouse(t, store.Hooks{})}
	k.name(k.h.url, "BASE")
	k.name(k.h.ada.String(), "ADA")
	k.say("A guard process registers.")
	p := k.register("PROCESS")
	k.say("Its first question brings a snapshot.")
	k.h.cut()
	c1 := cursorOf(t, k.do("GET /feed?nonce=n1&process="+p, ""))
	k.name(c1, "CURSOR-1")
	k.say("Nothing is new, and it does not want to wait.")
	c2 := cursorOf(t, k.do("GET /feed?process="+p+"&after="+c1+"&nonce=n2", ""))
	if c1 != c2 {
		t.Error("the cursor moved without a line")
	}
	k.say("A revocation, and the question that brings it.")
	k.h.cut()
	c3 := cursorOf(t, k.do("GET /feed?process="+p+"&after="+c1+"&wait=5s&nonce=n3", ""))
	k.name(c3, "CURSOR-2")
	k.say("The next question acknowledges it, is held, and ends without news.")
	k.do("GET /feed?process="+p+"&after="+c3+"&wait=20ms&nonce=n4", "")
	k.say("Goodbye.")
	k.do("DELETE /feed?process="+p, "")
	k.say("The process is unknown from here on.")
	k.do("GET /feed?process="+p+"&after="+c3, "")
	k.do("DELETE /feed?process="+p, "")
	k.check("protocol.txt")
}

func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	k := &talk{h: newHouse(t, store.Hooks{})}
	k.name(k.h.url, "BASE")
	p := k.register("PROCESS")
	k.say("Who are you?")
	for _, auth := range []string{"", basic("mail", "guess"), basic("nobody", secret), "Basic %%%", "Bearer abc", "Basic " + base64.StdEncoding.EncodeToString([]byte("mail:%zz")), basic("ma il", secret), basic("mail", "")} {
		k.do("GET /feed?process="+p, "", "Authorization: "+auth)
	}
	k.do("GET /feed?process="+p, "", "Authorization: "+basic("mail", secret), "Authorization: "+basic("mail", secret))
	k.say("Errors of ours say nothing about us.")
	k.do("GET /feed?process="+p, "", "Authorization: "+basic("broken", secret))
	k.do("GET /feed?process="+p, "", "Authorization: "+basic("busy", secret))
	k.say("Parameters.")
	for _, q := range []string{"", "process=", "process=mail-1", "process=" + p + "&process=" + p, "process=" + p + "&since=3", "process=" + p + "&after=", "process=" + p + "&after=9007199254740991",
		"process=" + p + "&wait=31s", "process=" + p + "&wait=-1s", "process=" + p + "&wait=soon", "process=" + p + "&nonce=%22", "process=" + p + "&nonce=" + strings.Repeat("n", 65), "process=" + p + "&%zz",
		"process=00000000-0000-7000-8000-000000000000"} {
		k.do("GET /feed?"+q, "")
	}
	k.do("GET /feed?nonce=1&process="+p, "", "Accept: text/event-stream")
	k.do("DELETE /feed", "")
	k.do("PUT /feed", "")
	k.say("Bodies.")
	for _, body := range []string{"", "[]", "{}", `{"name":"mail-1"}`, registerBody + "{}", strings.Replace(registerBody, `"name"`, `"nickname"`, 1), strings.Replace(registerBody, "10000", `"10000"`, 1),
		strings.Replace(registerBody, "10000", "-1", 1), strings.Replace(registerBody, "10000", "1e300", 1), strings.Replace(registerBody, "10000", "500", 1), strings.Replace(registerBody, "10000", "null", 1),
		strings.Replace(registerBody, "mail-1", strings.Repeat("m", 65), 1), strings.Replace(registerBody, "mail-1", strings.Repeat("m", 5000), 1), strings.Replace(registerBody, "api://mail", "api://drive", 1)} {
		k.do("POST /feed", body, jsonBody)
	}
	k.do("POST /feed", registerBody, "Content-Type: text/plain")
	k.do("POST /feed?force=1", registerBody, jsonBody)
	k.check("refused.txt")
}

func TestEveryKindOfFaultHasItsWire(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		w, ok := wires[kind]
		if !ok || w.status < 400 || w.code == "" {
			t.Errorf("%s is not mapped: %+v", kind, w)
		}
		if (w.status == http.StatusInternalServerError) != (kind == fault.Internal) {
			t.Errorf("%s is told as %d: only what is internal is ours", kind, w.status)
		}
	}
	if len(wires) != len(fault.Kinds()) {
		t.Errorf("%d kinds mapped, %d there are", len(wires), len(fault.Kinds()))
	}
}

func TestAStreamBringsLinesAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Hooks{})
	p := h.processes(1)[0]
	h.cut() // before the stream: not its business
	req := h.request(t.Context(), "process="+p.String())
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		return lines.Text()
	}
	if a, b := next(), next(); a != ": keep" || b != "" {
		t.Errorf("begins with %q, %q", a, b)
	}
	for range 2 {
		c := h.cut()
		want := fmt.Sprintf(`data: {"pos":%d,"cuts":[{"scope":"user","id":"%s","reach":"everything"}]}`, c.Pos, h.ada)
		if a, b := next(), next(); a != want || b != "" {
			t.Errorf("got %q, %q, want %q", a, b, want)
		}
	}
}

func TestAHeldQuestionIsAnsweredOnTheWire(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Hooks{})
	p := h.processes(1)[0]
	get := func(query string) string {
		resp, err := http.DefaultClient.Do(h.request(t.Context(), query))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d %s %v", resp.StatusCode, b, err)
		}
		return string(b)
	}
	cursor := cursorOf(t, get("process="+p.String()))
	answer := make(chan string)
	go func() { answer <- get("process=" + p.String() + "&wait=30s&after=" + cursor) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for h.held() == 0 {
		<-tick.C
	}
	c := h.cut()
	if got := <-answer; !strings.Contains(got, fmt.Sprintf(`"head":%d,`, c.Pos)) {
		t.Errorf("answer %s, want head %d", got, c.Pos)
	}
}
