package graph

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Whose body breaks off is told so, even if net/http takes the caller for gone:
// without an answer of ours it would send a 200 for something that was not done.
func TestBrokenOffBodyIsNoSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := httptest.NewServer(w.mux)
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	w.must(err)
	defer c.Close()
	w.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
	fmt.Fprintf(c, "PATCH /v1.0/users/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", w.names["ada"], w.token("grace"))
	w.must(c.(*net.TCPConn).CloseWrite())
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	w.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
}
