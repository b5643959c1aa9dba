package receipt

import (
	"time"

	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// EndKind is how something would end if it were revoked now.
type EndKind uint8

// The kinds of ending.
const (
	EndUnknown  EndKind = iota
	NothingLive         // there is nothing to end
	AtOnce              // the server refuses it in the same commit
	Within              // a guard refuses it within its limit
	NotBefore           // nobody can end it before it expires
)

// Ending is what "If revoked, ends" says.
type Ending struct {
	Kind   EndKind
	Within time.Duration // the bound, for Within, and for NotBefore without At
	At     time.Time     // the expiry, for NotBefore
	Where  string        // the resource that causes NotBefore; may be empty
}

// Icon is the ending's icon.
func (e Ending) Icon() string {
	return [...]string{"ring", "ended", "ended", "shield", "lives"}[e.Kind]
}

// Tone is the class that colours the icon.
func (e Ending) Tone() string {
	return [...]string{"t-3", "t-ok", "t-ok", "t-accent", "t-warn"}[e.Kind]
}

// Short is the text in the users list: "12:51, Legacy", "10 s".
func (e Ending) Short(c webkit.Clock) string {
	switch e.Kind {
	case NothingLive:
		return "Nothing live"
	case AtOnce:
		return "At once"
	case Within:
		return webkit.Span(e.Within)
	case NotBefore:
		if e.Where == "" {
			return c.Min(e.At)
		}
		return c.Min(e.At) + ", " + e.Where
	}
	return webkit.None
}

// Long is the text in the user's table: "Not before 12:51:07", "Within 10 s".
func (e Ending) Long(c webkit.Clock) string {
	switch e.Kind {
	case NothingLive:
		return "Nothing live"
	case AtOnce:
		return "At once"
	case Within:
		return "Within " + webkit.Span(e.Within)
	case NotBefore:
		if e.At.IsZero() { // a bound, where there is no token to name
			return "By expiry, up to " + webkit.Span(e.Within)
		}
		return "Not before " + c.Sec(e.At)
	}
	return webkit.None
}

// EndingOf is what the relay says about something; where names the resource.
func EndingOf(e relay.Ending, where string) Ending {
	switch e.Kind {
	case relay.AtOnce:
		return Ending{Kind: AtOnce}
	case relay.Within:
		return Ending{Kind: Within, Within: e.Within}
	case relay.NotBefore:
		return Ending{Kind: NotBefore, At: e.At, Where: where}
	}
	return Ending{}
}
