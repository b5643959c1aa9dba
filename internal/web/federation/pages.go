package federation

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

var identitiesPage = webkit.NewPage[Identities](webkit.Parse(files, nil), "identities")

// identities is the address of the page.
const identities = "/account/identities"

// Identities is the page of somebody's accounts elsewhere.
type Identities struct {
	webkit.Frame
	UserName, AccountURL string
	Done                 string // what was just done; may be empty
	Rows                 []Identity
}

// Identity is one identity provider, and whether the reader is linked to it.
type Identity struct {
	Name   string
	Linked time.Time // zero: not
	// Action is where the one button of the row goes.
	Action string
}

var done = map[string]string{
	"linked":   "The account was linked. You can sign in with it from now on.",
	"unlinked": "The account was unlinked. What was signed in through it has ended.",
}

func (s *Server) frame(r *http.Request, title string) webkit.Frame {
	return webkit.Frame{Clock: webkit.Clock{Now: s.Now()}, Title: title, Theme: webkit.ThemeOf(r), NoKeys: webkit.NoKeysOf(r), Directory: s.Domain()}
}

// owner returns whose account it is, or sends the browser to sign in.
func (s *Server) owner(w http.ResponseWriter, r *http.Request) *signin.Signed {
	signed, err := webkit.Visitor(r, s.SignIn, s.Secure, webkit.ToProofs)
	if to, ok := webkit.Again(err, identities); ok {
		goTo(w, to)
		return nil
	}
	if err != nil {
		s.fail(w, r, "", err)
		return nil
	}
	if signed == nil {
		goTo(w, "/signin?next="+url.QueryEscape(identities))
	}
	return signed
}

func (s *Server) getIdentities(w http.ResponseWriter, r *http.Request) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	signed := s.owner(w, r)
	if signed == nil {
		return
	}
	ways, err := s.Federate.Buttons(r.Context())
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	links, err := s.Federate.Links(r.Context(), signed.Actor, signed.User.ID)
	if err != nil {
		s.fail(w, r, "", err)
		return
	}
	v := Identities{Frame: s.frame(r, "Other ways to sign in"), UserName: signed.User.Name, AccountURL: "/account", Done: done[q.Get("done")]}
	for _, b := range ways {
		row := Identity{Name: b.Name, Action: identities + "/" + string(b.ID) + "/link"}
		for _, l := range links {
			if l.Provider == b.ID {
				row.Linked, row.Action = l.Linked.In(s.Now().Location()), identities+"/"+string(b.ID)+"/unlink"
			}
		}
		v.Rows = append(v.Rows, row)
	}
	webkit.FormMayLeave(w)
	if err := identitiesPage.Write(w, http.StatusOK, v); err != nil {
		s.fail(w, r, "", err)
	}
}

func (s *Server) postLink(w http.ResponseWriter, r *http.Request) {
	if _, err := webkit.ParseForm(w, r); err != nil {
		s.fail(w, r, "", err)
		return
	}
	signed := s.owner(w, r)
	if signed == nil {
		return
	}
	to, err := s.Federate.Begin(r.Context(), federate.Begin{Provider: provider(r), Browser: s.ensure(w, r), Link: signed})
	switch {
	case fault.Is(err, fault.Denied): // too long ago: first prove who you are
		goTo(w, "/signin?prompt=login&next="+url.QueryEscape(identities))
	case err != nil:
		s.fail(w, r, "", err)
	default:
		goTo(w, to)
	}
}

func (s *Server) postUnlink(w http.ResponseWriter, r *http.Request) {
	if _, err := webkit.ParseForm(w, r); err != nil {
		s.fail(w, r, "", err)
		return
	}
	signed := s.owner(w, r)
	if signed == nil {
		return
	}
	if _, err := s.Federate.Unlink(r.Context(), signed.Actor, provider(r), signed.User.ID, manage.Act{}); err != nil {
		s.fail(w, r, "", err)
		return
	}
	goTo(w, identities+"?done=unlinked") // this session may be one of those that ended: then it asks to sign in
}

// fail answers with the error page and the way back to where it began.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, next string, err error) {
	if fault.KindOf(err) == fault.Internal {
		s.log(r, err)
	}
	v := webkit.ErrorFor(s.frame(r, ""), err, webkit.RequestID(r.Context()))
	v.Next = webkit.Link{Text: "Back to sign-in", URL: "/signin"}
	if next != "" {
		v.Next.URL += "?next=" + url.QueryEscape(next)
	}
	w.Header().Set("Cache-Control", "no-store")
	if status := webkit.StatusOf(err); status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	if werr := webkit.ErrorPage().Write(w, webkit.StatusOf(err), v); werr != nil {
		s.log(r, werr)
	}
}

// tell answers a provider.
func (s *Server) tell(w http.ResponseWriter, status int, text string) {
	b, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{map[int]string{http.StatusBadRequest: "invalid_request", http.StatusMethodNotAllowed: "invalid_request", http.StatusServiceUnavailable: "temporarily_unavailable",
		http.StatusInternalServerError: "server_error"}[status], text})
	if err != nil {
		panic("federation: " + err.Error()) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // who does not read it asks again
}
