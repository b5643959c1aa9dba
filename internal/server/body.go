package server

import (
	"io"
	"net/http"
	"time"
)

// bodyTime bounds how long the body of a request may take to arrive. A handler
// that expects more sets its own deadline.
const bodyTime = 30 * time.Second

// boundBody lets no body take longer than within, also one that no handler reads:
// net/http looks for the rest of it before it answers. A ReadTimeout of the server
// would do the same, and end held questions and streams as well.
func boundBody(within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(within))
			r.Body = &arriving{r.Body, rc}
		}
		next.ServeHTTP(w, r)
	})
}

// arriving is a body with a deadline, which ends with it: net/http goes on
// reading to notice a client that leaves, and would take it for one.
type arriving struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *arriving) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
