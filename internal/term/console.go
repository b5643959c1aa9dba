package term

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Console is where a program prints, for whom, and in whose time.
type Console struct {
	Out, Err io.Writer
	// Which of them are terminals.
	OutTTY, ErrTTY bool
	Getenv         func(string) string
	Now            func() time.Time
	Zone           *time.Location
	JSON           bool // asked for: one object per line
}

// Printf answers.
func (c *Console) Printf(format string, a ...any) { fmt.Fprintf(c.Out, format, a...) }

// Sayf talks.
func (c *Console) Sayf(format string, a ...any) { fmt.Fprintf(c.Err, format, a...) }

// Line answers with one JSON object.
func (c *Console) Line(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Colours. The word beside them says the same.
const (
	Red   = "31"
	Green = "32"
	Amber = "33"
	Grey  = "90"
	Bold  = "1"
)

// Paint colours text for Out, when that is a terminal that wants it.
func (c *Console) Paint(colour, text string) string { return c.painted(c.OutTTY, colour, text) }

// PaintTalk colours text for Err.
func (c *Console) PaintTalk(colour, text string) string { return c.painted(c.ErrTTY, colour, text) }

// Dim is for talk that may be overlooked.
func (c *Console) Dim(text string) string { return c.PaintTalk(Grey, text) }

func (c *Console) painted(tty bool, colour, text string) string {
	if !tty || c.Getenv("NO_COLOR") != "" || c.Getenv("TERM") == "dumb" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Clean takes out what could move a cursor or hide text: names come from
// elsewhere.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return '\uFFFD'
		}
		return r
	}, s)
}
