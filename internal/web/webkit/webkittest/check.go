package webkittest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// MaxPage is how large a page may be, in bytes.
const MaxPage = 100_000

// Element is one start tag of a page.
type Element struct {
	Name  string
	Attr  map[string]string
	Text  string // all text inside, trimmed
	depth int
}

// Has reports whether the attribute is there.
func (e *Element) Has(attr string) bool { _, ok := e.Attr[attr]; return ok }

// Doc is a page taken apart.
type Doc struct{ Elements []*Element }

// All returns the elements of a name.
func (d Doc) All(name string) (out []*Element) {
	for _, e := range d.Elements {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// Text is the text of the whole page with single spaces.
func (d Doc) Text() string { return d.Elements[0].Text }

var void = []string{"meta", "link", "input", "br", "hr", "img"}

// Parse takes a page apart and fails the test when a tag is not closed, closes
// something else, or an attribute is given twice.
func Parse(t testing.TB, page []byte) Doc {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(page))
	dec.Strict = false
	dec.Entity = xml.HTMLEntity
	var d Doc
	var stack []*Element
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not readable: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &Element{Name: tok.Name.Local, Attr: map[string]string{}, depth: len(stack)}
			for _, a := range tok.Attr {
				n := a.Name.Local
				if a.Name.Space != "" {
					n = a.Name.Space + ":" + n
				}
				if e.Has(n) {
					t.Errorf("<%s> has %s twice", e.Name, n)
				}
				e.Attr[n] = a.Value
			}
			d.Elements = append(d.Elements, e)
			if !slices.Contains(void, e.Name) {
				stack = append(stack, e)
			}
		case xml.EndElement:
			if slices.Contains(void, tok.Name.Local) {
				continue // RawToken reports <x/> as a pair
			}
			if len(stack) == 0 || stack[len(stack)-1].Name != tok.Name.Local {
				var open []string
				for _, e := range stack {
					open = append(open, e.Name)
				}
				t.Fatalf("</%s> closes nothing; open: %v, line %d", tok.Name.Local, open, line(page, dec.InputOffset()))
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			for _, e := range stack {
				e.Text += " " + string(tok)
			}
		}
	}
	if len(stack) > 0 {
		t.Fatalf("<%s> is never closed", stack[len(stack)-1].Name)
	}
	if len(d.Elements) == 0 {
		t.Fatal("empty page")
	}
	for _, e := range d.Elements {
		e.Text = strings.Join(strings.Fields(e.Text), " ")
	}
	return d
}

func line(page []byte, off int64) int { return bytes.Count(page[:off], []byte("\n")) + 1 }

// Check holds a whole page to the rules of the house.
func Check(t testing.TB, page []byte) Doc {
	t.Helper()
	d := Parse(t, page)
	if len(page) > MaxPage {
		t.Errorf("page of %d bytes, at most %d", len(page), MaxPage)
	}
	if !bytes.HasPrefix(page, []byte("<!doctype html>")) || d.Elements[0].Attr["lang"] == "" {
		t.Error("no doctype or no language")
	}
	if h := d.All("h1"); len(h) != 1 || h[0].Text == "" {
		t.Errorf("%d h1, want one", len(h))
	}
	if ti := d.All("title"); len(ti) == 0 || !strings.HasSuffix(ti[0].Text, "curfew") {
		t.Error("title does not end in curfew")
	}
	if len(d.All("main")) != 1 {
		t.Error("not exactly one main")
	}
	checkSafe(t, page, d)
	checkReferences(t, d)
	checkNames(t, d)
	return d
}

func checkSafe(t testing.TB, page []byte, d Doc) {
	t.Helper()
	if bytes.Contains(page, []byte("ZgotmplZ")) {
		t.Error("html/template refused a value")
	}
	if bytes.Contains(page, []byte("%!")) || bytes.Contains(page, []byte("<nil>")) || bytes.Contains(page, []byte("0001-01-01")) {
		t.Error("a value was formatted wrongly")
	}
	for _, e := range d.Elements {
		if e.Name == "style" || e.Name == "script" && (e.Attr["src"] == "" || e.Text != "") {
			t.Errorf("inline <%s>", e.Name)
		}
		for a, v := range e.Attr {
			if a == "style" || strings.HasPrefix(a, "on") || strings.HasPrefix(strings.ToLower(v), "javascript:") {
				t.Errorf("<%s %s=%q>", e.Name, a, v)
			}
		}
	}
}

func checkReferences(t testing.TB, d Doc) {
	t.Helper()
	ids := map[string]bool{}
	for _, e := range d.Elements {
		if id, ok := e.Attr["id"]; ok {
			if id == "" || ids[id] {
				t.Errorf("id %q empty or twice", id)
			}
			ids[id] = true
		}
	}
	for _, e := range d.Elements {
		for _, a := range []string{"for", "aria-describedby", "aria-labelledby"} {
			// The dialog is labelled by the confirmation that the script puts into it.
			for _, ref := range strings.Fields(e.Attr[a]) {
				if !ids[ref] && e.Name != "dialog" {
					t.Errorf("<%s %s=%q> refers to nothing", e.Name, a, ref)
				}
			}
		}
		if ref, ok := strings.CutPrefix(e.Attr["href"], "#"); ok && !ids[ref] {
			t.Errorf("<%s href=%q> refers to nothing", e.Name, "#"+ref)
		}
		if e.Name == "a" && e.Attr["href"] == "" {
			t.Errorf("link %q leads nowhere", e.Text)
		}
		if e.Name == "form" && e.Attr["action"] == "" && e.Attr["method"] != "dialog" {
			t.Error("form without action")
		}
	}
}

func checkNames(t testing.TB, d Doc) {
	t.Helper()
	labels := map[string]string{}
	for _, l := range d.All("label") {
		labels[l.Attr["for"]] = l.Text
	}
	primary := 0
	for _, e := range d.Elements {
		named := e.Text != "" || e.Attr["aria-label"] != ""
		switch e.Name {
		case "input":
			if e.Attr["type"] != "hidden" && labels[e.Attr["id"]] == "" && e.Attr["aria-label"] == "" {
				t.Errorf("input %q has no label", e.Attr["name"])
			}
		case "button", "a", "summary", "th":
			if !named {
				t.Errorf("<%s %v> has no name", e.Name, e.Attr)
			}
		case "svg":
			if e.Attr["role"] == "img" && e.Attr["aria-label"] == "" {
				t.Error("picture without a text alternative")
			}
		}
		if e.Name == "th" && e.Attr["scope"] == "" {
			t.Errorf("th %q without scope", e.Text)
		}
		if classes := strings.Fields(e.Attr["class"]); slices.Contains(classes, "primary") || slices.Contains(classes, "danger") {
			primary++
		}
	}
	if len(d.All("table")) != len(d.All("caption")) {
		t.Error("table without caption")
	}
	if primary > 1 {
		t.Errorf("%d primary buttons", primary)
	}
}
