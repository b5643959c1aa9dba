package portal

import (
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// BulkResult is the page after an act on several users.
type BulkResult struct {
	desk.Shell
	Verb desk.Verb
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
	word := map[desk.Verb]string{DisableAccount: "disabled", EnableAccount: "enabled", ResetPassword: "reset"}[b.Verb]
	if word == "" {
		word = "revoked"
	}
	return webkit.Num(done) + " " + word + ", " + webkit.Num(refused) + " refused, " + webkit.Num(failed) + " failed"
}

// Receipts is the list of receipts, newest first.
type Receipts struct {
	desk.Shell
	Rows   []ReceiptLine
	Paging desk.Paging
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
func (r ReceiptLine) URL() string { return desk.ReceiptPath(r.ID) }

// ReceiptPage is the stand-alone page of one receipt.
type ReceiptPage struct {
	desk.Shell
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
	desk.Shell
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
	desk.Shell
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
	desk.Shell
	Table desk.AuditTable
}
