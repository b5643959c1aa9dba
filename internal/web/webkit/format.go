package webkit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// None stands where a value is unknown or does not apply. Never leave it blank.
const None = "–"

// Clock writes instants as one reader sees them: relative to the day of Now, in
// the location of Now. Every view embeds one, so that all times of a page agree
// on what "today" is. A zero time is written as [None].
type Clock struct {
	// Now is the instant the page was made, in the reader's location.
	Now time.Time
}

// Sec writes an instant to the second: "12:04:31", "tomorrow 01:19:55",
// "9 Jan 10:15:00".
func (c Clock) Sec(t time.Time) string { return c.write(t, "15:04:05", "") }

// Tenth writes an instant to the tenth of a second: "12:04:35.0".
func (c Clock) Tenth(t time.Time) string { return c.write(t, "15:04:05.0", "") }

// Milli writes an instant as receipts do: "12:04:31.220".
func (c Clock) Milli(t time.Time) string { return c.write(t, "15:04:05.000", "") }

// Min writes an instant to the minute, without "today": "12:51".
func (c Clock) Min(t time.Time) string { return c.write(t, "15:04", "") }

// When writes an instant of the past to the minute: "today 08:02",
// "yesterday 16:31", "27 Feb 19:21", "14 Jan 2025 09:12".
func (c Clock) When(t time.Time) string { return c.write(t, "15:04", "today ") }

// Day writes the date of an instant: "today", "2 Mar", "14 Jan 2025".
func (c Clock) Day(t time.Time) string {
	return strings.TrimSpace(c.write(t, "", "today"))
}

// Left writes the span from now to t: "46 min 36 s"; nothing once t has passed.
func (c Clock) Left(t time.Time) string {
	if !t.After(c.Now) {
		return ""
	}
	return Span(t.Sub(c.Now))
}

// Unix is t in milliseconds, for the script's countdown.
func (c Clock) Unix(t time.Time) int64 { return t.UnixMilli() }

// ISO is the machine-readable form, for the time element.
func (c Clock) ISO(t time.Time) string { return t.In(c.Now.Location()).Format(time.RFC3339Nano) }

// Long writes the day a page was made: "Monday 2 March 2026, 12:04:38".
func (c Clock) Long() string { return c.Now.Format("Monday 2 January 2006, 15:04:05") }

// Zone names the reader's zone: "Helsinki, UTC+2", or "UTC".
func (c Clock) Zone() string {
	name, offset := c.Now.Zone()
	utc := "UTC"
	if offset != 0 {
		sign, o := "+", offset
		if o < 0 {
			sign, o = "-", -o
		}
		utc += sign + strconv.Itoa(o/3600)
		if m := o % 3600 / 60; m != 0 {
			utc += fmt.Sprintf(":%02d", m)
		}
	}
	loc := c.Now.Location().String()
	if i := strings.LastIndexByte(loc, '/'); i >= 0 && name != "UTC" {
		return strings.ReplaceAll(loc[i+1:], "_", " ") + ", " + utc
	}
	return utc
}

func (c Clock) write(t time.Time, layout, today string) string {
	if t.IsZero() {
		return None
	}
	t = t.In(c.Now.Location())
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	}
	switch days := day(t).Sub(day(c.Now)) / (24 * time.Hour); {
	case days == 0:
		return today + t.Format(layout)
	case days == 1:
		return "tomorrow " + t.Format(layout)
	case days == -1:
		return "yesterday " + t.Format(layout)
	case t.Year() == c.Now.Year():
		return t.Format("2 Jan " + layout)
	}
	return t.Format("2 Jan 2006 " + layout)
}

// Span writes a length of time with the units a reader can use: "44 ms", "3.7 s",
// "10 s", "46 min 36 s", "2 h 5 min", "90 days".
func Span(d time.Duration) string {
	if d < 0 {
		return "–" + Span(-d)
	}
	two := func(big int64, bigUnit string, small int64, smallUnit string) string {
		if small == 0 {
			return strconv.FormatInt(big, 10) + " " + bigUnit
		}
		return fmt.Sprintf("%d %s %d %s", big, bigUnit, small, smallUnit)
	}
	switch ms := d.Round(time.Millisecond).Milliseconds(); {
	case d == 0:
		return "0 ms"
	case ms == 0:
		return "under 1 ms"
	case ms < 1000:
		return strconv.FormatInt(ms, 10) + " ms"
	case ms < 59_950:
		t := (ms + 50) / 100
		if t%10 == 0 {
			return strconv.FormatInt(t/10, 10) + " s"
		}
		return fmt.Sprintf("%d.%d s", t/10, t%10)
	case ms < 3_599_500:
		s := (ms + 500) / 1000
		return two(s/60, "min", s%60, "s")
	case ms < 48*3_600_000-30_000:
		m := (ms + 30_000) / 60_000
		return two(m/60, "h", m%60, "min")
	default:
		return strconv.FormatInt((ms+43_200_000)/86_400_000, 10) + " days"
	}
}

// Num groups the digits of a number: "48,211".
func Num[N ~int | ~int64 | ~uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

// Count writes a number with its noun: "1 grant", "4 grants".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Num(n) + " " + many
}

// And joins names for a sentence: "Mail", "Mail and Drive", "Mail, Drive and Legacy".
func And(names []string) string { return join(names, " and ") }

// Or joins names for a sentence about alternatives.
func Or(names []string) string { return join(names, " or ") }

func join(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + last + names[n]
}

// Initials makes a monogram of a name: "AL" for Ada Lovelace. It takes the first
// and the last word, and is never empty.
func Initials(name string) string {
	w := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' || r == '@' || r == '.' })
	switch len(w) {
	case 0:
		return "?"
	case 1:
		return strings.ToUpper(string([]rune(w[0])[:1]))
	}
	return strings.ToUpper(string([]rune(w[0])[:1]) + string([]rune(w[len(w)-1])[:1]))
}
