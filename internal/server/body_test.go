package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/config"
)

// A body that never ends neither holds a handler nor the connection, whether
// somebody reads it or not.
func TestBodyThatDoesNotArrive(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/left", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	srv := httptest.NewServer(boundBody(200*time.Millisecond, mux))
	t.Cleanup(srv.Close)
	for _, path := range []string{"/read", "/left"} {
		for _, frame := range []string{"Content-Length: 100\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n5\r\na"} {
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\n%s", path, frame)
			in := bufio.NewReader(c)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s %q: no answer: %v", path, frame, err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s %q: status %d, want 400", path, frame, res.StatusCode)
			}
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("%s %q: the connection is not closed: %v", path, frame, err)
			}
		}
	}
}

// Once the body is there, the deadline does not end what the handler does next.
func TestBodyThatArrived(t *testing.T) {
	srv := httptest.NewServer(boundBody(100*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			t.Error("the request was given up")
		case <-time.After(400 * time.Millisecond):
		}
	})))
	t.Cleanup(srv.Close)
	res, err := http.Post(srv.URL, "text/plain", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	res, err = http.Post(srv.URL, "text/plain", &io.LimitedReader{R: zeros{}, N: 1000})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// deadlines is an answer that notes the deadlines set for reading.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

// Every address of a server has the bound, and says that its type is meant.
func TestEveryAnswerIsBoundedAndTyped(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.PublicURL = t.TempDir(), "https://localhost:1"
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/keys", "/feed", "/v1.0/users", "/healthz", "/signin", "/portal/users/bulk", "/nothing/here"} {
		rec := httptest.NewRecorder()
		w := &deadlines{ResponseWriter: rec}
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader("a=b")))
		if len(w.set) == 0 || time.Until(w.set[0]) > time.Minute || w.set[0].IsZero() {
			t.Errorf("%s: read deadlines %v, want one within a minute first", path, w.set)
		}
		if got := rec.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q, want nosniff", path, got)
		}
	}
}
