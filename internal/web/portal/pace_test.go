package portal

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
)

// An administrator's own account is like anybody's: what she ends of it comes
// with an allowance.
func TestEndingOnesOwnTooOften(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.as("grace")
	own := func() string {
		return sessionPath(h.ids["grace"].String(), h.as("grace").live.Session.ID.String())
	}
	for range 10 {
		grace.post(own(), url.Values{})
	}
	p, _ := grace.check(grace.do(http.MethodPost, own(), url.Values{}), http.StatusTooManyRequests, "an eleventh session")
	want(t, p, "Error: nothing was done", "You have ended sessions or access of yours too often.", "Try again in")
	if n, err := strconv.Atoi(p.header.Get("Retry-After")); err != nil || n < 6 || n > 30 {
		t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
	}
	for range 12 { // somebody else's
		grace.post(sessionPath(h.ids["ada"].String(), h.as("ada").live.Session.ID.String()), url.Values{})
	}
}
