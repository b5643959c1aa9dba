package policies

import (
	"time"

	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// both counts sessions and grants in words: "3 browser sessions and 4 grants".
func both(sessions, grants int) string {
	var parts []string
	if sessions > 0 {
		parts = append(parts, webkit.Count(sessions, "browser session", "browser sessions"))
	}
	if grants > 0 {
		parts = append(parts, webkit.Count(grants, "grant", "grants"))
	}
	return webkit.And(parts)
}

// verbed puts a verb to a number of things: "stays", "stay".
func verbed(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// consequences say what a change does to what is alive, gravest first, and then what
// stays; with what it does to the Global Administrators.
func (b *book) consequences(e *govern.Effect) (out []desk.Consequence) {
	c := b.v.Clock(b.v.Now())
	add := func(kind receipt.EndKind, what, when, why string) {
		if what != "" {
			out = append(out, desk.Consequence{Kind: kind, What: what, When: when, Why: why})
		}
	}
	x, y := e.Sessions, e.Grants
	add(receipt.AtOnce, both(x.Ends, y.Ends), verbed(x.Ends+y.Ends, "is", "are")+" refused at the next use", "")
	add(receipt.AtOnce, both(x.Asks, y.Asks), verbed(x.Asks+y.Asks, "is", "are")+" asked for more at the next use", b.asked(e))
	lasts, last := map[string]time.Time{}, time.Time{}
	for _, f := range e.Fates {
		if (f.Kind == policy.Ends || f.Kind == policy.Asks) && !f.Until.IsZero() {
			if f.Until.After(lasts[f.AppName]) {
				lasts[f.AppName] = f.Until
			}
			if f.Until.After(last) {
				last = f.Until
			}
		}
	}
	if n := len(lasts); n > 0 {
		add(receipt.NotBefore, "Access tokens that nobody guards", "live until "+c.Sec(last), "Of "+webkit.Count(n, "application", "applications")+". Nothing can end them sooner.")
	}
	add(receipt.EndUnknown, both(x.Shortens, y.Shortens), verbed(x.Shortens+y.Shortens, "goes", "go")+" on, under stricter limits", "")
	add(receipt.EndUnknown, both(x.Opens, y.Opens), verbed(x.Opens+y.Opens, "is", "are")+" asked for less", "")
	add(receipt.EndUnknown, both(x.Stays, y.Stays), verbed(x.Stays+y.Stays, "stays", "stay")+" as "+verbed(x.Stays+y.Stays, "it is", "they are"), "")
	if len(out) == 0 {
		add(receipt.NothingLive, "Nothing is alive", "nothing to end", "It holds for the next sign-in.")
	}
	if a := e.Lockout; !a.Out {
		who := "the accounts that no policy touches"
		if n := len(a.In) - len(a.Spared); n > 0 {
			who = few(a.In, 3)
		} else if len(a.Spared) > 0 {
			who = few(a.Spared, 3) + ", only by being spared"
		}
		add(receipt.EndUnknown, "Global Administrators", "still get in", "For one: "+who+".")
	}
	return out
}

// asked is what those who are asked for more are asked for.
func (b *book) asked(e *govern.Effect) string {
	seen := map[string]bool{}
	var all []string
	for _, f := range e.Fates {
		if f.Kind != policy.Asks {
			continue
		}
		for _, n := range f.Needs {
			if !seen[n] {
				seen[n] = true
				all = append(all, b.need(n))
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "For " + webkit.And(all) + "."
}

// part says that not all was looked at.
func part(e *govern.Effect) string {
	if !e.Part {
		return ""
	}
	return "Only the newest were looked at, " + webkit.Count(e.Rows, "session or grant", "sessions and grants") + ": there are more."
}

// fates are the cards of an effect on the what-if page: by application, and one by one.
func (b *book) fates(e *govern.Effect) (cards []registry.Card) {
	c := b.v.Clock(b.v.Now())
	apps := registry.Card{Title: "By application", Empty: "No application holds a grant.", Table: registry.NewTable("Grants, by application", "Application", ">End", ">Asked for more", ">Shortened", ">Asked for less", ">Stay")}
	const shown = 50
	for i, a := range e.Apps {
		if i == shown {
			apps.Note = webkit.Num(len(e.Apps)-shown) + " more are not listed."
			break
		}
		apps.Table.Add("", nil, registry.Cell{Text: a.Name, URL: desk.AppPath(string(a.App)), Wrap: true}, number(int64(a.Ends)), number(int64(a.Asks)), number(int64(a.Shortens)), number(int64(a.Opens)), number(int64(a.Stays)))
	}
	each := registry.Card{Title: "One by one", Note: part(e), Empty: "Nothing is alive.", Table: registry.NewTable("What becomes of each", "Person", "What", "Then", "Until", "Because of")}
	for _, f := range e.Fates {
		if len(each.Table.Rows) == shown {
			break // those that stay come last
		}
		what := "Browser session"
		if !f.Grant.IsZero() {
			what = "Grant of " + f.AppName
		}
		then, until := fate(f.Kind), "at the next use"
		if f.Kind == policy.Asks {
			then.Mark.Word = "Asked for " + b.needs(f.Needs)
		}
		switch {
		case f.Kind == policy.Opens:
			until = ""
		case f.Kind == 0 || f.Kind == policy.Shortens:
			if until = ""; !f.Until.IsZero() {
				until = c.When(f.Until) + ", if not used"
			}
		case !f.Until.IsZero():
			until = "a token lives until " + c.Sec(f.Until)
		case f.Cut:
			until = "at once"
		}
		each.Table.Add("", nil, registry.Cell{Text: f.UserName, URL: desk.UserPath(f.User.String()), Mono: true}, registry.Text(what), then, registry.Text(until), registry.Cell{Text: few(f.By, 2), Wrap: true})
	}
	if n := len(e.Fates) + e.Left - len(each.Table.Rows); n > 0 {
		each.Hint = webkit.Num(n) + " more are not listed"
	}
	return []registry.Card{apps, each}
}

func fate(k policy.ChangeKind) registry.Cell {
	m := registry.Mark{Icon: "ring", Tone: "t-2", Word: "Stays"}
	switch k {
	case policy.Ends:
		m = registry.Mark{Icon: "failed", Tone: "t-danger", Word: "Refused"}
	case policy.Asks:
		m = registry.Mark{Icon: "closes", Tone: "t-warn", Word: "Asked for more"}
	case policy.Shortens:
		m = registry.Mark{Icon: "waiting", Tone: "t-2", Word: "Goes on, not as long"}
	case policy.Opens:
		m = registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Asked for less"}
	}
	return registry.Cell{Mark: m, Wrap: true}
}

// lockedOut is the notice in place of a button after which no Global Administrator
// could get in.
func lockedOut(e *govern.Effect) *desk.Refusal {
	if e == nil || !e.Lockout.Out {
		return nil
	}
	n := &desk.Refusal{Sentence: "After this no Global Administrator could sign in any more.", Untold: true}
	if len(e.Lockout.By) > 0 {
		n.Sentence = "After this no Global Administrator could sign in any more, because of " + few(e.Lockout.By, 3) + "."
	}
	n.Rest = "Spare an account of all policies first, or let it only report. Who means it can force it: curfew policy, with --force."
	return n
}
