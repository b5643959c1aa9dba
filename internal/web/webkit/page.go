package webkit

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed templates/*.html
var ownTemplates embed.FS

// Frame is what every page needs, whatever it shows. Page views embed it.
type Frame struct {
	Clock
	// Title is the browser title without " – curfew".
	Title string
	// Failed puts "Error: " before the title, for forms that came back.
	Failed bool
	Theme  Theme
	// NoKeys switches the single-key shortcuts off, as the reader wished.
	NoKeys bool
	// Directory is the domain people know the directory by.
	Directory string
}

// Failing returns the frame of a page whose form came back with errors.
func (f Frame) Failing(failed bool) Frame {
	f.Failed = f.Failed || failed
	return f
}

// Field is one labelled input. The order on the page is label, hint, error, input.
type Field struct {
	Name, Label string
	// Hint stands between label and input.
	Hint string
	// Error is a sentence without full stop, shown here and in the summary.
	Error string
	// Type of the input; empty is "text".
	Type string
	// Value as typed; ignored for passwords, which are never sent back.
	Value        string
	Autocomplete string // token of the HTML standard
	InputMode    string
	Pattern      string
	Required     bool
	Autofocus    bool
	Mono         bool // what may be copied
	// Show adds the button that shows a password; it needs the script.
	Show bool
	Max  int // maxlength; 0: 255
	// Lines makes it a text of several lines, so many of them in sight.
	Lines int
	// Choices make it a set of radio buttons, of which Value is chosen; the error
	// and the label are then those of the whole set.
	Choices []Choice
	// Select shows the choices as one line that opens.
	Select bool
	// Check makes it a checkbox, ticked when Value is not empty.
	Check bool
}

// Choice is one radio button.
type Choice struct{ Value, Label, Hint string }

// ID is the id of a radio button of a field; the first is the one that the summary
// of errors leads to.
func (f Field) ID(i int) string {
	if i == 0 {
		return "f-" + f.Name
	}
	return "f-" + f.Name + "-" + strconv.Itoa(i)
}

// Fieldset is a part of a long form under one heading.
type Fieldset struct {
	Legend, Hint string
	Fields       []Field
}

// InputType is the type attribute.
func (f Field) InputType() string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

// Kept is the value to send back: what was typed, except a password.
func (f Field) Kept() string {
	if f.Type == "password" {
		return ""
	}
	return f.Value
}

// Limit is the maxlength attribute.
func (f Field) Limit() int {
	if f.Max == 0 {
		return 255
	}
	return f.Max
}

// Check is one labelled checkbox.
type Check struct {
	Name, Label, Hint string
	Checked           bool
}

// Problem is the summary above a form that came back. It takes the focus.
type Problem struct {
	Title string // "Error: sign-in did not work"
	Items []ProblemItem
}

// ProblemItem is one sentence, with the field it is about.
type ProblemItem struct {
	Field string // name of the field; empty: not about one
	Text  string
}

// Link is a word that leads somewhere.
type Link struct {
	Text, URL string
	Current   bool
}

// Set is the parsed templates of one package, together with webkit's own.
type Set struct{ t *template.Template }

// Parse reads templates/*.html of a package. It panics when one is broken: that
// is known at start, and no page would work.
func Parse(fsys fs.FS, funcs template.FuncMap) Set {
	t := template.New("").Funcs(baseFuncs).Funcs(funcs).Option("missingkey=error")
	template.Must(t.ParseFS(ownTemplates, "templates/*.html"))
	if fsys != nil {
		template.Must(t.ParseFS(fsys, "templates/*.html"))
	}
	return Set{t}
}

// With is the set of a package whose pages share templates with others: those of s
// and its own. s must not have rendered anything yet.
func (s Set) With(fsys fs.FS, funcs template.FuncMap) Set {
	t := template.Must(s.t.Clone()).Funcs(funcs)
	return Set{template.Must(t.ParseFS(fsys, "templates/*.html"))}
}

var baseFuncs = template.FuncMap{
	"icon":     Icon,
	"sprite":   func() template.HTML { return sprite },
	"mark":     func() template.HTML { return mark },
	"asset":    AssetURL,
	"num":      func(n any) (string, error) { return num(n) },
	"span":     Span,
	"count":    Count,
	"and_":     And,
	"initials": Initials,
	"match":    Match,
	"none":     func() string { return None },
}

func num(n any) (string, error) {
	switch n := n.(type) {
	case int:
		return Num(n), nil
	case int64:
		return Num(n), nil
	case uint64:
		return Num(n), nil
	}
	return "", fmt.Errorf("webkit: num of %T", n)
}

// Match escapes text and underlines the first place where query is found in it,
// ignoring case, at the start of a word.
func Match(text, query string) template.HTML {
	at := -1
	q := strings.ToLower(strings.TrimSpace(query))
	low := strings.ToLower(text)
	if q != "" && len(low) == len(text) { // lowering may change lengths; then no mark
		for from := 0; ; {
			i := strings.Index(low[from:], q)
			if i < 0 {
				break
			}
			i += from
			if i == 0 || strings.ContainsRune(" -.@_'", rune(low[i-1])) {
				at = i
				break
			}
			from = i + 1
		}
	}
	if at < 0 {
		return template.HTML(html.EscapeString(text))
	}
	end := at + len(q)
	return template.HTML(html.EscapeString(text[:at]) + "<mark>" + html.EscapeString(text[at:end]) + "</mark>" + html.EscapeString(text[end:]))
}

// Page is a template together with the type it is made for.
type Page[T any] struct {
	t    *template.Template
	name string
}

// NewPage looks up a template of a set; a missing one panics, at start.
func NewPage[T any](s Set, name string) Page[T] {
	t := s.t.Lookup(name)
	if t == nil {
		panic("webkit: no template " + name)
	}
	return Page[T]{t, name}
}

// HTML renders v.
func (p Page[T]) HTML(v T) ([]byte, error) {
	var b bytes.Buffer
	if err := p.t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("render %s: %w", p.name, err)
	}
	return squeeze(b.Bytes()), nil
}

// Write renders v whole and then sends it. When rendering fails nothing has been
// sent and the caller can still answer with [WriteError].
func (p Page[T]) Write(w http.ResponseWriter, status int, v T) error {
	b, err := p.HTML(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, err = w.Write(b)
	return err
}

// squeeze drops empty lines and indentation, which is a fifth of a long table, but
// for what stands in a textarea, which may be JSON. No template uses pre.
func squeeze(b []byte) []byte {
	out := make([]byte, 0, len(b))
	kept := false
	for line := range bytes.Lines(b) {
		if was := kept; was || bytes.Contains(line, []byte("<textarea")) {
			kept = bytes.LastIndex(line, []byte("</textarea>")) <= bytes.LastIndex(line, []byte("<textarea"))
			if was {
				out = append(out, line...)
				continue
			}
			out = append(out, bytes.TrimLeft(line, " \t")...)
			continue
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

// Theme is what the reader chose: empty follows the system.
type Theme string

// The themes.
const (
	System Theme = ""
	Light  Theme = "light"
	Dark   Theme = "dark"
)

const themeCookie = "curfew-theme"

// ParseTheme reads a form value; anything unknown is System.
func ParseTheme(s string) Theme {
	if t := Theme(s); t == Light || t == Dark {
		return t
	}
	return System
}

// ThemeOf reads the reader's choice from the request.
func ThemeOf(r *http.Request) Theme {
	c, err := r.Cookie(themeCookie)
	if err != nil {
		return System
	}
	return ParseTheme(c.Value)
}

// SetTheme remembers the reader's choice for a year.
func SetTheme(w http.ResponseWriter, t Theme, secure bool) { wish(w, themeCookie, string(t), secure) }

const keysCookie = "curfew-keys"

// NoKeysOf reads from the request whether the reader switched the single-key
// shortcuts off.
func NoKeysOf(r *http.Request) bool {
	c, err := r.Cookie(keysCookie)
	return err == nil && c.Value == "off"
}

// SetNoKeys remembers for a year that the shortcuts are off, or forgets it.
func SetNoKeys(w http.ResponseWriter, off, secure bool) {
	value := ""
	if off {
		value = "off"
	}
	wish(w, keysCookie, value, secure)
}

// wish stores a cookie that says nothing about anybody; empty removes it. It is not
// __Host- so that it works on plain loopback, too.
func wish(w http.ResponseWriter, name, value string, secure bool) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int((365 * 24 * time.Hour).Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
