package portal

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Whose form breaks off is told so, even if net/http takes the reader for gone:
// without an answer of ours it would send a 200 for a revoke that was not done.
func TestBrokenOffFormIsNoSuccess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	c, err := net.Dial("tcp", h.HTTP.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nCookie: %s=%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nreason=x",
		VerbPath(h.IDs["ada"].String(), RevokeSessions), webkit.SessionCookie(false), grace.Cookie)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
}
