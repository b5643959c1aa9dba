package registry

import (
	"cmp"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/portal/figure"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Page is what the cards of one page share.
type Page struct {
	webkit.Clock
	// Offer makes the button of a verb, by its word in the address; part names one
	// part of the thing, and is empty for the whole.
	Offer func(word, part string) Button
	// Person is the page of a user; empty for readers who have none.
	Person func(directory.UserID) string
}

// Button is a link to the confirmation of a verb, or to its form.
type Button struct {
	Label, Icon, URL string
	// Refused keeps it in sight, with a padlock; Form has no confirmation.
	Refused, Form bool
}

// Mark is a state as a chip or in a cell: icon, tone and word.
type Mark struct{ Icon, Tone, Word string }

// Card is one part of such a page: facts, or a table, or a sentence instead.
type Card struct {
	Title, Hint string
	// Note is a sentence below the title.
	Note  string
	Facts []Fact
	// Chart stands above the table that holds the same facts.
	Chart *figure.Days
	Table *Table
	// Empty stands in place of the table; Command is what to type then.
	Empty, Command string
	Acts           []Button
	// NextURL leads to the next page; From is the number of the first row then.
	NextURL string
	From    int
}

// To is the number of the last row of a page.
func (c Card) To() int { return c.From + len(c.Table.Rows) - 1 }

// Table is a table with one thing in each row.
type Table struct {
	Caption string
	Cols    []Col
	Rows    []Row
}

// Col is a column's head.
type Col struct {
	Text  string
	Right bool
}

// Row is one row; the first cell names it.
type Row struct {
	Cells []Cell
	Acts  []Button
	// About names the row for the buttons: "Revoke of ada@contoso.example".
	About string
}

// Cell is one cell: words, which may be a link, or a state.
type Cell struct {
	Text, URL  string
	Sub        string // a second line in a softer tone
	Mark       Mark   // instead of the text, or before it
	Mono, Wrap bool
	Right      bool
	Soft       bool // zero or nothing: grey
	Label      string
}

// Acting reports whether a row has buttons, so that the table has a column for them.
func (t *Table) Acting() bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return len(r.Acts) > 0 })
}

// Add adds a row; the cells take label and side of their columns.
func (t *Table) Add(about string, acts []Button, cells ...Cell) {
	for i := range cells {
		if i > 0 {
			cells[i].Label = t.Cols[i].Text
		}
		cells[i].Right = t.Cols[i].Right
	}
	t.Rows = append(t.Rows, Row{cells, acts, about})
}

// NewTable makes a table; a column whose name begins with ">" stands at the right.
func NewTable(caption string, names ...string) *Table {
	t := &Table{Caption: caption}
	for _, n := range names {
		right := len(n) > 1 && n[0] == '>'
		if right {
			n = n[1:]
		}
		t.Cols = append(t.Cols, Col{n, right})
	}
	return t
}

// Text is a cell of words; nothing is a dash.
func Text(s string) Cell {
	if s == "" {
		return Cell{Text: webkit.None, Soft: true}
	}
	return Cell{Text: s}
}

// Mono is a cell that may be copied.
func Mono(s string) Cell { return Cell{Text: s, Mono: true, Wrap: true} }

// Enabled is the state of an account or an application.
func Enabled(is bool) Mark {
	if is {
		return Mark{"ended", "t-ok", "Enabled"}
	}
	return Mark{"disabled", "t-2", "Disabled"}
}

// ends is when something ends by itself; zero is never.
func (p Page) ends(at time.Time) Cell {
	switch {
	case at.IsZero():
		return Text("Never")
	case !at.After(p.Now):
		return Cell{Mark: Mark{"disabled", "t-2", "Ended " + p.When(at)}}
	case at.Sub(p.Now) < 14*24*time.Hour:
		return Cell{Mark: Mark{"lives", "t-warn", p.When(at)}}
	}
	return Text(p.Day(at))
}

// Name is how people call an application.
func Name(a *directory.App) string { return cmp.Or(a.Name, string(a.ID)) }
