package portal

import (
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Confirm is the confirmation page of a verb, which the script shows as a dialog.
// The form is posted to Action with the fields reason, widen, password (if asked),
// domain (if asked), verb (if bulk) and id (repeated, if bulk).
type Confirm struct {
	Shell
	Verb Verb
	// Question is the title, with the name: "Revoke Ada Lovelace's sessions?"
	Question string
	// Intro is one sentence below it; may be empty.
	Intro        string
	Consequences []Consequence
	// Widen is a checkbox that does more, such as disabling as well.
	Widen *webkit.Check
	// Extra are fields besides the reason, such as a temporary password.
	Extra []webkit.Field
	// ReasonHint says who sees the reason.
	ReasonHint     string
	Reason         string
	ReasonRequired bool
	ReasonError    string
	// TypeThis must be typed before going on, for acts on everybody.
	TypeThis  string
	Typed     string
	TypeError string
	Problem   *webkit.Problem
	Action    string
	KeepURL   string
	Hidden    []Hidden
	Refusal   *Refusal // set: the button is refused and there is no form
	// Undo says whether it can be taken back: "Cannot be undone."
	Undo string
}

// PageTitle is the frame, marked when the form came back with errors.
func (c Confirm) PageTitle() webkit.Frame { return c.Frame.Failing(c.Problem != nil) }

// ReasonField is the field of the reason; it has the focus.
func (c Confirm) ReasonField() webkit.Field {
	label := "Reason"
	if !c.ReasonRequired {
		label = "Reason (optional)"
	}
	return webkit.Field{Name: "reason", Label: label, Hint: c.ReasonHint, Error: c.ReasonError, Value: c.Reason,
		Required: c.ReasonRequired, Autofocus: c.Problem == nil && len(c.Extra) == 0, Autocomplete: "off", Max: 500}
}

// TypeField is the field in which the domain is typed.
func (c Confirm) TypeField() webkit.Field {
	return webkit.Field{Name: "domain", Label: "Type " + c.TypeThis + " to go on", Error: c.TypeError, Value: c.Typed,
		Required: true, Autocomplete: "off", Mono: true}
}

// Consequence is one line of what will happen.
type Consequence struct {
	// Ending picks icon and colour; NotBefore is set off as what is left.
	Kind EndKind
	What string // "1 access token in Legacy"
	When string // "lives until 12:51:07"
	Why  string // "Legacy has no guard. Nothing can end it sooner."
}

// Icon is the consequence's icon.
func (c Consequence) Icon() string { return Ending{Kind: c.Kind}.Icon() }

// Tone is the class that colours the icon.
func (c Consequence) Tone() string { return Ending{Kind: c.Kind}.Tone() }

// Stays reports whether the line is about something that outlives the act.
func (c Consequence) Stays() bool { return c.Kind == NotBefore }

// BulkResult is the page after an act on several users.
type BulkResult struct {
	Shell
	Verb Verb
	Rows []BulkRow
	// NotOver says what is left over all targets: "Legacy until 12:51:07"; may be empty.
	NotOver string
	BackURL string
}

// BulkRow is what happened to one target.
type BulkRow struct {
	Name, UserName, URL string
	// State is Ended, Refused or Failed.
	State State
	At    time.Time
	// Why for refused and failed.
	Why     string
	Ledger  int64
	Receipt webkit.Link
}

// Counts is the last line: "2 revoked, 1 refused, 0 failed".
func (b BulkResult) Counts() string {
	var done, refused, failed int
	for _, r := range b.Rows {
		switch r.State {
		case Refused:
			refused++
		case Failed:
			failed++
		default:
			done++
		}
	}
	word := map[Verb]string{DisableAccount: "disabled", EnableAccount: "enabled", ResetPassword: "reset"}[b.Verb]
	if word == "" {
		word = "revoked"
	}
	return webkit.Num(done) + " " + word + ", " + webkit.Num(refused) + " refused, " + webkit.Num(failed) + " failed"
}

// Receipts is the list of receipts, newest first.
type Receipts struct {
	Shell
	Rows   []ReceiptLine
	Paging Paging
}

// ReceiptLine is one receipt of a list.
type ReceiptLine struct {
	ID     string
	At     time.Time
	Target string
	By     string
	Reason string
	State  State
	// Text of the state: "Legacy until 12:51:07", "Over, 39 ms".
	Text             string
	Confirmed, Total int
	Ledger           int64
}

// URL is the receipt's page.
func (r ReceiptLine) URL() string { return ReceiptPath(r.ID) }

// ReceiptPage is the stand-alone page of one receipt.
type ReceiptPage struct {
	Shell
	Receipt Receipt
}

// PageTitle puts the counts first.
func (p ReceiptPage) PageTitle() webkit.Frame {
	f := p.Frame
	f.Title = p.Receipt.Short() + " – " + p.Receipt.Target
	return f
}

// Guards is the list of guard processes, silent first.
type Guards struct {
	Shell
	Rows []GuardRow
}

// GuardRow is one guard process, or a resource without any (Name empty).
type GuardRow struct {
	Name, Resource string
	// State is Confirmed (answering), Closes, Closed or Lives (no guard).
	State State
	// Age of its view; negative: unknown.
	Age          time.Duration
	MaxStaleness time.Duration
	// SilentSince is its last answer, ClosesAt when its own limit refuses all.
	SilentSince, ClosesAt time.Time
	Ledger                int64 // 0: unknown
	Version               string
}

// Icon is the guard's icon: a silent one stays half-filled, closed or not.
func (g GuardRow) Icon() string {
	if g.State == Closed {
		return Closes.Icon()
	}
	return g.State.Icon()
}

// Tone is the class that colours the icon.
func (g GuardRow) Tone() string {
	if g.State == Closed {
		return Closes.Tone()
	}
	return g.State.Tone()
}

// Brief is the state in a few words.
func (g GuardRow) Brief() string {
	switch g.State {
	case Closes:
		return "Silent"
	case Closed:
		return "Silent, refuses all"
	case Lives:
		return "No guard"
	}
	return "Answering"
}

// Text is the state in words, with its instant.
func (g GuardRow) Text(c webkit.Clock) string {
	switch g.State {
	case Closes:
		return "Silent, refuses all from " + c.Tenth(g.ClosesAt)
	case Closed:
		return "Silent, by its own limit refuses all since " + c.Tenth(g.ClosesAt)
	}
	return g.Brief()
}

// Overview is the first page.
type Overview struct {
	Shell
	// Worst is set out large: what would take longest to close. WorstWhere is the
	// resource that causes it, WorstHolders how many people hold a token there
	// (negative: not counted), and
	// Without the worst case without that resource.
	WorstWhere   string
	WorstHolders int
	Without      time.Duration
	Ladder       figure.Ladder
	Latest       []ReceiptLine
	Guards       []GuardRow
	Live         []LiveCount
	Needs        []Need
}

// BigWorst splits the worst case into numbers and units.
func (o Overview) BigWorst() []figure.BigPart { return figure.Big(o.Worst) }

// LiveCount is one line of "Live now".
type LiveCount struct {
	Label string
	Count int64
}

// Need is one thing that wants somebody, with one link.
type Need struct {
	State       State
	Title, Text string
	Link        webkit.Link
}

// Audit is the audit page.
type Audit struct {
	Shell
	Table AuditTable
}

// RefusedPage stands in place of a page that the reader's role does not open.
type RefusedPage struct {
	Shell
	Refusal *Refusal
}
