package term

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// None stands where a value is unknown or does not apply.
const None = "–"

// at writes an instant in the person's zone, relative to today: layout is the
// clock's, today what is put before it on the same day.
func (c *Console) at(t time.Time, layout, today string) string {
	if t.IsZero() {
		return None
	}
	t = t.In(c.Zone)
	now := c.Now().In(c.Zone)
	day := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	}
	switch days := day(t).Sub(day(now)) / (24 * time.Hour); {
	case days == 0:
		return today + t.Format(layout)
	case days == 1:
		return "tomorrow " + t.Format(layout)
	case days == -1:
		return "yesterday " + t.Format(layout)
	case t.Year() == now.Year():
		return t.Format("2 Jan " + layout)
	}
	return t.Format("2 Jan 2006 " + layout)
}

// Sec is an instant to the second: "12:04:31", with the day when it is not today.
func (c *Console) Sec(t time.Time) string { return c.at(t, "15:04:05", "") }

// Tenth is an instant to a tenth of a second.
func (c *Console) Tenth(t time.Time) string { return c.at(t, "15:04:05.0", "") }

// Milli is an instant to the millisecond, as receipts have it.
func (c *Console) Milli(t time.Time) string { return c.at(t, "15:04:05.000", "") }

// When is an instant to the minute: "today 08:02".
func (c *Console) When(t time.Time) string { return c.at(t, "15:04", "today ") }

// Span writes a length of time: "44 ms", "3.7 s", "46 min 36 s", "2 h 5 min", "90 days".
func Span(d time.Duration) string {
	two := func(big int64, bigUnit string, small int64, smallUnit string) string {
		if small == 0 {
			return fmt.Sprintf("%d %s", big, bigUnit)
		}
		return fmt.Sprintf("%d %s %d %s", big, bigUnit, small, smallUnit)
	}
	d = max(d, 0)
	switch ms := d.Round(time.Millisecond).Milliseconds(); {
	case d > 0 && ms == 0:
		return "under 1 ms"
	case ms < 1000:
		return strconv.FormatInt(ms, 10) + " ms"
	case ms < 59_950:
		return strings.TrimSuffix(strconv.FormatFloat(float64((ms+50)/100)/10, 'f', 1, 64), ".0") + " s"
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

// Num groups digits: "48,211".
func Num[N ~int | ~int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count writes a number with its noun.
func Count[N ~int | ~int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Num(n) + " " + many
}

// Cell is one field of a table. Its colour does not count for its width.
type Cell struct {
	Text, Colour string
	Right        bool
}

// Cells makes a row of plain texts.
func Cells(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, t := range texts {
		row[i].Text = t
	}
	return row
}

// Table prints rows in columns two spaces apart, as wide as the data; the last
// column is not padded. Unknown is a dash, never blank.
func (c *Console) Table(w io.Writer, indent string, rows [][]Cell) {
	var widths []int
	for _, row := range rows {
		for i, x := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(Clean(x.Text)))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(indent)
		for i, x := range row {
			text := Clean(x.Text)
			pad := strings.Repeat(" ", widths[i]-Width(text))
			if x.Right {
				b.WriteString(pad)
				pad = ""
			}
			if x.Colour != "" {
				text = c.Paint(x.Colour, text)
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString(pad + "  ")
			}
		}
		b.WriteByte('\n')
	}
	io.WriteString(w, b.String())
}

// Width is how many columns a terminal gives to s: marks that combine take none,
// the wide scripts of East Asia take two.
func Width(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r >= 0xFF01 && r <= 0xFF60 || r >= 0x1F300 && r <= 0x1FAFF:
			n += 2
		default:
			n++
		}
	}
	return n
}

// Head is the first row of a list.
func Head(names ...string) []Cell {
	row := Cells(names...)
	for i := range row {
		row[i].Colour = Grey
	}
	return row
}
