package webkit

import (
	"errors"
	"net/http"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

var (
	errCrossOrigin = fault.New(fault.Denied, "This form was sent from another site. Nothing was done. Open the page here and send it again.")
	errPanic       = errors.New("panic")
)

// wire is the one table from a kind of fault to its page.
var wire = map[fault.Kind]struct {
	status int
	title  string
}{
	fault.Internal:        {http.StatusInternalServerError, "Something went wrong on our side"},
	fault.Invalid:         {http.StatusBadRequest, "This request makes no sense to us"},
	fault.Unauthenticated: {http.StatusUnauthorized, "Sign in first"},
	fault.Denied:          {http.StatusForbidden, "You may not do this"},
	fault.NotFound:        {http.StatusNotFound, "There is nothing here"},
	fault.Conflict:        {http.StatusConflict, "This has changed meanwhile"},
	fault.Revoked:         {http.StatusUnauthorized, "This session has ended"},
	fault.Limited:         {http.StatusTooManyRequests, "Too many tries"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "We cannot answer right now"},
}

// StatusOf is the HTTP status of a page about err.
func StatusOf(err error) int { return wire[fault.KindOf(err)].status }

// ErrorView is the error page: what happened, what to do, and the words by which
// somebody else can find it in the log.
type ErrorView struct {
	Frame
	Heading  string
	Sentence string
	// Code is the name of the error in its surface's own table, such as
	// "invalid_request"; empty: left out.
	Code string
	// Trace is the request id.
	Trace string
	// Next is where to go on; zero: nowhere.
	Next Link
}

// ErrorFor makes the view of err. Only the public sentence of a fault is shown.
func ErrorFor(f Frame, err error, trace string) ErrorView {
	k := fault.KindOf(err)
	f.Title = wire[k].title
	return ErrorView{Frame: f, Heading: wire[k].title, Sentence: fault.Public(err), Code: k.String(), Trace: trace}
}

var errorPage = NewPage[ErrorView](Parse(nil, nil), "error")

// ErrorPage renders an [ErrorView].
func ErrorPage() Page[ErrorView] { return errorPage }

// WriteError answers with the error page for err. It does not log: the line of
// [Observe] says the status, and who holds the cause logs it.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	v := ErrorFor(Frame{Clock: Clock{Now: time.Now()}, Theme: ThemeOf(r)}, err, RequestID(r.Context()))
	if werr := errorPage.Write(w, StatusOf(err), v); werr != nil {
		// Nobody is left to read it, or our own embedded page is broken: a bare line.
		http.Error(w, v.Heading, StatusOf(err))
	}
}
