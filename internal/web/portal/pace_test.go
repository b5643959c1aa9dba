package portal

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
)

// An administrator's own account is like anybody's: what she ends of it comes
// with an allowance.
func TestEndingOnesOwnTooOften(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.As("grace")
	own := func() string {
		return sessionPath(h.IDs["grace"].String(), h.As("grace").Live.Session.ID.String())
	}
	for range 10 {
		grace.Post(own(), url.Values{})
	}
	p, _ := grace.Check(grace.Do(http.MethodPost, own(), url.Values{}), http.StatusTooManyRequests, "an eleventh session")
	portaltest.Want(t, p, "Error: nothing was done", "You have ended sessions or access of yours too often.", "Try again in")
	if n, err := strconv.Atoi(p.Header.Get("Retry-After")); err != nil || n < 6 || n > 30 {
		t.Errorf("Retry-After %q", p.Header.Get("Retry-After"))
	}
	for range 12 { // somebody else's
		grace.Post(sessionPath(h.IDs["ada"].String(), h.As("ada").Live.Session.ID.String()), url.Values{})
	}
}
