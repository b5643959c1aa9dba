package portal

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// maxBulk bounds an act on several users.
const maxBulk = 100

// bulk is an act on several users, as posted.
type bulk struct {
	verb   desk.Verb
	people []*person
	may    []role.Decision
}

// readBulk reads who was selected. Somebody deleted meanwhile is left out.
func (v *visit) readBulk(f webkit.Form) (*bulk, error) {
	b := &bulk{}
	var ok bool
	if b.verb, ok = ParseBulkVerb(f.Get("verb")); !ok || b.verb == ResetPassword {
		return nil, fault.New(fault.Invalid, "This cannot be done to several users at once.")
	}
	ids := f.All("id")
	if len(ids) > maxBulk {
		return nil, fault.New(fault.Invalid, "At most 100 users at once.")
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		p, err := v.personOf(id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b.people = append(b.people, p)
	}
	slices.SortFunc(b.people, func(x, y *person) int {
		// Oneself last: whoever is cut can do no more.
		mine := func(p *person) int { return map[bool]int{true: 1}[p.User.ID == v.User.ID] }
		return cmp.Or(mine(x)-mine(y), strings.Compare(x.name, y.name))
	})
	for _, p := range b.people {
		b.may = append(b.may, role.Allowed(v.Actor, action[b.verb], p.target))
	}
	return b, nil
}

func (v *visit) bulkConfirm(b *bulk) (*desk.Confirm, error) {
	c := &desk.Confirm{Verb: b.verb, Action: desk.PathBulkNow, KeepURL: desk.PathUsers, Undo: desk.CannotUndo, ReasonRequired: len(b.people) > 1,
		ReasonHint: "Goes on each receipt and into the audit log.", Hidden: []desk.Hidden{{Name: "verb", Value: b.verb.Slug}}}
	all := &relay.Exposure{Now: v.Now()}
	var left []string
	n := 0
	for i, p := range b.people {
		c.Hidden = append(c.Hidden, desk.Hidden{Name: "id", Value: p.id})
		if !b.may[i].OK {
			why := "your role cannot act on it"
			if b.may[i].Holds != "" {
				why = "holds " + b.may[i].Holds
			}
			left = append(left, p.name+": "+why)
			continue
		}
		n++
		if b.verb == EnableAccount {
			continue
		}
		x, err := v.Exposure(p.User.ID)
		if err != nil {
			return nil, err
		}
		all.Now, all.Sessions, all.Grants = x.Now, append(all.Sessions, x.Sessions...), append(all.Grants, x.Grants...)
		all.Residual = append(append(all.Residual, x.AppTokens...), x.Residual...)
		for _, l := range x.Lanes {
			if !slices.ContainsFunc(all.Lanes, func(o relay.Lane) bool { return o.Resource == l.Resource }) {
				all.Lanes = append(all.Lanes, l)
			}
		}
	}
	whom := webkit.Count(n, "user", "users")
	switch b.verb {
	case EnableAccount:
		c.Question, c.Undo = "Enable "+webkit.Count(n, "account", "accounts")+"?", "Can be disabled again."
		c.Consequences = []desk.Consequence{{Kind: AtOnce, What: "New sign-ins", When: "work at once", Why: ""}, {Kind: EndUnknown, What: "What had ended", When: "stays ended", Why: ""}}
	default:
		c.Question = "Revoke the sessions of " + whom + "?"
		c.Consequences = v.Consequences(all, len(all.Sessions), len(all.Grants), desk.Tokens(all))
		if b.verb == DisableAccount {
			c.Question, c.Undo = "Disable "+webkit.Count(n, "account", "accounts")+"?", "Enabling again brings nothing back."
			c.Consequences = append(c.Consequences, desk.Consequence{Kind: AtOnce, What: "New sign-ins", When: "refused at once", Why: "Until somebody enables the accounts again."})
		}
	}
	switch {
	case len(b.people) == 0:
		c.Question, c.Consequences = "Nobody is selected", nil
		c.Refusal = &desk.Refusal{Sentence: "Select somebody in the list first."}
	case n == 0:
		c.Refusal = v.Refusal([]desk.Verb{b.verb}, b.may[:1], b.people[0].User.ID, b.people[0].name, desk.PathUsers)
	}
	if len(left) > 0 {
		const shown = 5
		names := left
		if len(names) > shown {
			names = append(names[:shown:shown], webkit.Num(len(left)-shown)+" more")
		}
		c.Consequences = append(c.Consequences, desk.Consequence{Kind: EndUnknown, What: webkit.Count(len(left), "user is", "users are") + " left out", When: "nothing is done", Why: strings.Join(names, "; ") + "."})
	}
	return c, nil
}

func (s *Server) postBulk(v *visit) error {
	f, err := webkit.ParseForm(v.W, v.R, "id")
	if err != nil {
		return err
	}
	b, err := v.readBulk(f)
	if err != nil {
		return err
	}
	c, err := v.bulkConfirm(b)
	if err != nil {
		return err
	}
	return c.Show(v.Visit, http.StatusOK)
}

func (s *Server) postBulkNow(v *visit) error {
	var b *bulk
	return v.Submit(func() (*desk.Confirm, error) { return v.bulkConfirm(b) }, func(f webkit.Form) (err error) {
		if b, err = v.readBulk(f); err != nil {
			return err
		}
		if len(b.people) > 1 && strings.TrimSpace(f.Get("reason")) == "" {
			return &desk.Mistake{Field: "reason", Text: "Give a reason"}
		}
		return v.doBulk(b, f.Get("reason"))
	})
}

// doBulk goes on after a refusal or a failure: each has a row that says so.
func (v *visit) doBulk(b *bulk, reason string) error {
	view := BulkResult{Verb: b.verb, BackURL: desk.PathUsers}
	var receipts []*manage.Receipt
	for _, p := range b.people {
		row := BulkRow{Name: p.name, UserName: p.User.Name, URL: desk.UserPath(p.id), State: Ended, At: v.Now()}
		r, err := v.one(b.verb, p, reason)
		switch kind := fault.KindOf(err); {
		case err == nil && r != nil:
			row.At, row.Ledger, row.Receipt = r.At, int64(r.Pos), webkit.Link{Text: r.ID, URL: v.profile(p.id, r, "")}
			receipts = append(receipts, r)
		case err == nil:
			row.Why = "It was so already."
			if b.verb == EnableAccount {
				row.Why = "Enabled."
			}
		case kind == fault.Denied:
			row.State, row.Why = Refused, fault.Public(err)
		case kind == fault.Revoked && len(view.Rows) == 0:
			return err
		default:
			row.State, row.Why = Failed, fault.Public(err)
			if kind == fault.Internal {
				v.Log("bulk", err)
			}
		}
		view.Rows = append(view.Rows, row)
	}
	view.NotOver = v.notOver(receipts)
	view.Shell = v.Shell("")
	view.Title = view.Counts()
	return desk.Show(v.Visit, bulkResultPage, http.StatusOK, view)
}

func (v *visit) one(verb desk.Verb, p *person, reason string) (*manage.Receipt, error) {
	if verb == RevokeSessions {
		res, err := v.s.Revoke.User(v.Ctx(), v.Actor, p.User.ID, revoke.Options{Reason: reason})
		return res.Receipt, err
	}
	return v.s.Manage.SetEnabled(v.Ctx(), v.Actor, p.User.ID, verb == EnableAccount, manage.Act{Reason: reason})
}

// notOver is what lives on over all receipts: "Legacy until 12:51:07".
func (v *visit) notOver(receipts []*manage.Receipt) string {
	until := map[string]time.Time{}
	for _, r := range receipts {
		rv, err := v.s.Relay.Receipt(v.Ctx(), v.Actor, r.ID)
		if err != nil {
			continue // each receipt tells for itself
		}
		for _, row := range rv.Left {
			if row.State == relay.Lives {
				until[row.Protects] = desk.Later(until[row.Protects], row.At)
			}
		}
	}
	var parts []string
	for name, at := range until {
		parts = append(parts, name+" until "+v.Clock(v.Now()).Sec(at))
	}
	slices.Sort(parts)
	return webkit.And(parts)
}

// wide are the consequences of an act on more than is counted one by one: bounds
// by resource instead of numbers.
func (v *visit) wide(first desk.Consequence, at func(directory.ResourceID) bool) []desk.Consequence {
	out := []desk.Consequence{first}
	o, err := v.s.Relay.Overview(v.Ctx(), v.Actor)
	if err != nil {
		return append(out, desk.Consequence{Kind: EndUnknown, What: "Access tokens", When: "unknown", Why: fault.Public(err)})
	}
	var guarded []string
	var slowest time.Duration
	for _, r := range o.Rungs {
		if at(r.Resource) && r.Guarded {
			guarded, slowest = append(guarded, r.Name), max(slowest, r.Bound)
		}
	}
	if len(guarded) > 0 {
		out = append(out, desk.Consequence{Kind: Within, What: "Access tokens in " + webkit.And(guarded), When: "end within " + webkit.Span(slowest), Why: ""})
	}
	for _, r := range o.Rungs {
		if at(r.Resource) && !r.Guarded {
			out = append(out, desk.Consequence{Kind: NotBefore, What: "Access tokens in " + r.Name, When: "live up to " + webkit.Span(r.Bound), Why: r.Name + " has no guard. Nothing can end them sooner."})
		}
	}
	return out
}

// freshProof is how recently the verb wants people to have signed in; it judges,
// and this only sends them there before they have typed anything.
const freshProof = 10 * time.Minute

// proveAgain sends the reader to prove who they are, and back here.
func (v *visit) proveAgain() error {
	return v.To("/signin?prompt=login&next=" + url.QueryEscape(desk.PathRevokeAll))
}

func (v *visit) revokeAllConfirm() *desk.Confirm {
	d := role.Allowed(v.Actor, role.CutDirectory, role.Target{})
	c := &desk.Confirm{Verb: RevokeAll, Question: "Revoke everyone except you?", Action: desk.PathRevokeAll, KeepURL: desk.PathUsers, Undo: desk.CannotUndo, ReasonRequired: true,
		ReasonHint: "Goes on the receipt and into the audit log.", TypeThis: v.Desk.Name(),
		Refusal: v.Refusal([]desk.Verb{RevokeAll}, []role.Decision{d}, directory.UserID{}, "", desk.PathRevokeAll)}
	if n, err := v.Count(directory.UserQuery{}); err == nil && n > 0 {
		c.Intro = webkit.Count(n-1, "person signs in again.", "people sign in again.")
	}
	c.Consequences = append(v.wide(desk.Consequence{Kind: AtOnce, What: "Every browser session and grant", When: "ends at once", Why: "Everybody signs in again, in each app."}, func(directory.ResourceID) bool { return true }),
		desk.Consequence{Kind: EndUnknown, What: "This browser", When: "stays signed in", Why: "Your other browsers and apps do not."})
	return c
}

func (s *Server) getRevokeAll(v *visit) error {
	if role.Allowed(v.Actor, role.CutDirectory, role.Target{}).OK && s.Time().Sub(v.Actor.AuthTime) > freshProof {
		return v.proveAgain()
	}
	return v.revokeAllConfirm().Show(v.Visit, http.StatusOK)
}

func (s *Server) postRevokeAll(v *visit) error {
	return v.Submit(func() (*desk.Confirm, error) { return v.revokeAllConfirm(), nil }, func(f webkit.Form) error {
		allowed := role.Allowed(v.Actor, role.CutDirectory, role.Target{}).OK
		switch {
		case allowed && strings.TrimSpace(f.Get("reason")) == "":
			return &desk.Mistake{Field: "reason", Text: "Give a reason"}
		case allowed && directory.FoldName(f.Get("domain")) != directory.FoldName(s.Name()):
			return &desk.Mistake{Field: "domain", Text: "This is not " + s.Name()}
		}
		res, err := s.Revoke.Everyone(v.Ctx(), v.Actor, revoke.Options{Reason: f.Get("reason"), KeepSession: v.Session.ID})
		switch {
		case fault.Is(err, fault.Denied) && allowed && s.Time().Sub(v.Actor.AuthTime) > freshProof:
			return v.proveAgain()
		case err != nil:
			return err
		case res.Cookie == "": // cut by something else meanwhile
			webkit.ClearSession(v.W, s.Secure)
		default:
			var life time.Duration
			if v.Session.Kept {
				life = s.SignIn.Lifetimes.SessionAbsolute
			}
			webkit.SetSession(v.W, s.Secure, res.Cookie, life)
		}
		return v.To(desk.ReceiptPath(res.Receipt.ID))
	})
}
