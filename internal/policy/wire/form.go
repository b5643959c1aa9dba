package wire

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// A form binds an object's members to fields, in one description for both
// directions: it reads them out of the object, or writes them into it. Reading
// stops at the first fault.
type form struct {
	doc  *document
	path string
	in   *value // nil: writing
	out  value
	used []bool // of in, per member
}

// document is what the forms of one document share: its first fault, and the path
// of each entry of its lists of texts, by the list's path and the entry.
type document struct {
	bad error
	at  map[[2]string]string
}

// entry is where an entry of a list stands.
func (d *document) entry(list, x string) string { return d.at[[2]string{list, strings.ToLower(x)}] }

func (f *form) fail(path, why string) { f.doc.fail(path, why) }

func (d *document) fail(path, why string) {
	if d.bad == nil {
		d.bad = refusal(path, why)
	}
}

// member returns what is to be read, of that kind; nil: nothing, or null.
func (f *form) member(name string, want kind) (*value, string) {
	path := f.path + member(name)
	i := slices.Index(f.in.names, name)
	if i < 0 {
		return nil, path
	}
	f.used[i] = true
	v := &f.in.items[i]
	if v.kind == null {
		return nil, path
	}
	if v.kind != want {
		f.fail(path, "must be "+kindNames[want]+", not "+kindNames[v.kind])
		return nil, path
	}
	return v, path
}

func (f *form) put(name string, v value) {
	f.out.names, f.out.items = append(f.out.names, name), append(f.out.items, v)
}

// text binds a text; empty is null.
func (f *form) text(name string, p *string) {
	if f.in == nil {
		f.put(name, textValue(*p))
	} else if v, _ := f.member(name, text); v != nil {
		*p = v.text
	}
}

func textValue(s string) value {
	if s == "" {
		return value{}
	}
	return value{kind: text, text: s}
}

// parsed binds what has a form as text; absent is the zero value.
func parsed[T comparable](f *form, name string, p *T, read func(string) (T, bool), write func(T) string, what string) {
	var zero T
	if f.in == nil {
		v := value{}
		if *p != zero {
			v = textValue(write(*p))
		}
		f.put(name, v)
	} else if v, path := f.member(name, text); v != nil {
		x, ok := read(v.text)
		if !ok {
			f.fail(path, "is not "+what)
		}
		*p = x
	}
}

func (f *form) guid(name string, p *string) {
	parsed(f, name, p, readGUID, func(s string) string { return s }, "a GUID")
}

func readGUID(s string) (string, bool) {
	id, err := directory.ParseID[struct{}](s)
	return id.String(), err == nil
}

func (f *form) instant(name string, p *time.Time) {
	parsed(f, name, p, func(s string) (time.Time, bool) {
		t, err := time.Parse(time.RFC3339Nano, s)
		_, err2 := t.UTC().MarshalText() // a year that can be written again
		return t.UTC(), err == nil && err2 == nil
	}, func(t time.Time) string { return t.Format(time.RFC3339Nano) }, "an instant as 2026-03-02T12:04:00Z")
}

// oneOf binds a text that names[value] lists; names[0] is empty and means absent.
func oneOf[T ~uint8](f *form, name string, p *T, names []string) {
	parsed(f, name, p, func(s string) (T, bool) {
		i := slices.Index(names, s)
		return T(max(i, 0)), i > 0
	}, func(x T) string { return names[x] }, "one of "+strings.Join(names[1:], ", "))
}

func (f *form) flag(name string, p *bool) {
	if f.in == nil {
		f.put(name, value{kind: boolean, on: *p})
	} else if v, _ := f.member(name, boolean); v != nil {
		*p = v.on
	}
}

// number binds a whole number; zero is null.
func (f *form) number(name string, p *int) {
	if f.in == nil {
		v := value{}
		if *p != 0 {
			v = value{kind: number, text: strconv.Itoa(*p)}
		}
		f.put(name, v)
	} else if v, path := f.member(name, number); v != nil {
		n, err := strconv.Atoi(v.text)
		if err != nil || n < 1 || n > 1<<20 {
			f.fail(path, "is not a whole number above zero")
		}
		*p = n
	}
}

// each binds a list of texts; an entry twice is refused. take reads one and says
// what is wrong with it, or nothing.
func (f *form) each(name string, have []string, take func(string) string) {
	if f.in == nil {
		v := value{kind: list}
		for _, s := range have {
			v.items = append(v.items, value{kind: text, text: s})
		}
		f.put(name, v)
		return
	}
	v, path := f.member(name, list)
	if v == nil {
		return
	}
	for i, x := range v.items {
		at, key := path+index(i), [2]string{path, strings.ToLower(x.text)}
		switch {
		case x.kind != text:
			f.fail(at, "must be a text, not "+kindNames[x.kind])
		case f.doc.at[key] != "":
			f.fail(at, "is in the list twice")
		default:
			if why := take(x.text); why != "" {
				f.fail(at, why)
			}
		}
		f.doc.at[key] = at
	}
}

// some binds a list of names as a set of bits.
func some[T ~uint8 | ~uint32 | ~uint64](f *form, name string, p *T, names []string) {
	f.each(name, listed(*p, names), func(s string) string {
		i := slices.Index(names, s)
		if i < 0 {
			return "is not one of " + strings.Join(names, ", ")
		}
		*p |= 1 << i
		return ""
	})
}

func listed[T ~uint8 | ~uint32 | ~uint64](set T, names []string) (out []string) {
	for i, n := range names {
		if set>>i&1 == 1 {
			out = append(out, n)
		}
	}
	return out
}

// joined binds a set of bits that is one text with commas; empty is null.
func joined[T ~uint8 | ~uint32](f *form, name string, p *T, names []string) {
	parsed(f, name, p, func(s string) (T, bool) { return bitsOf[T](s, names) },
		func(x T) string { return strings.Join(listed(x, names), ",") }, "some of "+strings.Join(names, ", ")+", joined by commas")
}

func bitsOf[T ~uint8 | ~uint32](s string, names []string) (set T, ok bool) {
	for n := range strings.SplitSeq(s, ",") {
		i := slices.Index(names, strings.TrimSpace(n))
		if i < 0 || set>>i&1 == 1 {
			return 0, false
		}
		set |= 1 << i
	}
	return set, true
}

func methodsOf(s string) (policy.Methods, bool) { return bitsOf[policy.Methods](s, methodNames) }

// guids binds a list of GUIDs, or of whatever read reads, with the keywords that
// may stand in it, each with its own flag.
func guids[T any](f *form, name string, p *[]T, what string, read func(string) (T, error), write func(T) string, words ...keyword) {
	var have []string
	for _, w := range words {
		if *w.on {
			have = append(have, w.name)
		}
	}
	for _, x := range *p {
		have = append(have, write(x))
	}
	f.each(name, have, func(s string) string {
		for _, w := range words {
			if s == w.name {
				*w.on = true
				return ""
			}
		}
		x, err := read(s)
		if err != nil {
			why := "is not " + what
			for _, w := range words {
				why += ", nor " + w.name
			}
			return why
		}
		*p = append(*p, x)
		return ""
	})
}

type keyword struct {
	name string
	on   *bool
}

func ids[Of any](f *form, name string, p *[]directory.ID[Of], words ...keyword) {
	guids(f, name, p, "a GUID", directory.ParseID[Of], directory.ID[Of].String, words...)
}

func (f *form) guids(name string, p *[]string, words ...keyword) {
	guids(f, name, p, "a GUID", func(s string) (string, error) {
		id, err := directory.ParseID[struct{}](s)
		return id.String(), err
	}, func(s string) string { return s }, words...)
}

// child binds an object. It is there when here says so, or when it is read.
func (f *form) child(name string, here bool, bind func(*form)) {
	if f.in == nil {
		v := value{}
		if here {
			c := form{doc: f.doc, out: value{kind: object}}
			bind(&c)
			v = c.out
		}
		f.put(name, v)
	} else if v, path := f.member(name, object); v != nil {
		f.read(v, path, bind)
	}
}

// children binds a list of objects. bind is called with the place of each.
func (f *form) children(name string, n int, bind func(*form, int)) {
	if f.in == nil {
		v := value{kind: list}
		for i := range n {
			c := form{doc: f.doc, out: value{kind: object}}
			bind(&c, i)
			v.items = append(v.items, c.out)
		}
		f.put(name, v)
	} else if v, path := f.member(name, list); v != nil {
		for i := range v.items {
			if at := path + index(i); v.items[i].kind != object {
				f.fail(at, "must be an object, not "+kindNames[v.items[i].kind])
			} else {
				f.read(&v.items[i], at, func(c *form) { bind(c, i) })
			}
		}
	}
}

// read binds one object and refuses members that nobody asked for: they could
// have meant something. OData's annotations say nothing about the object.
func (f *form) read(v *value, path string, bind func(*form)) {
	c := form{doc: f.doc, path: path, in: v, used: make([]bool, len(v.items))}
	bind(&c)
	for i, name := range v.names {
		if !c.used[i] && !(strings.Contains(name, "@odata.") && v.items[i].kind == text) {
			c.fail(path+member(name), "is unknown here")
		}
	}
}

// absent refuses a member that curfew cannot honour, unless it says nothing.
func (f *form) absent(name, why string) {
	if f.in == nil {
		return
	}
	if i := slices.Index(f.in.names, name); i >= 0 {
		f.used[i] = true
		if v := f.in.items[i]; v.kind != null && !(v.kind == list && len(v.items) == 0) {
			f.fail(f.path+member(name), why)
		}
	}
}

// read binds the whole of a document and then checks it.
func read[T any](b []byte, bind func(*T, *form), check func(*T, *document)) (*T, error) {
	v, err := decode(b)
	if err != nil {
		return nil, err
	}
	if v.kind != object {
		return nil, refusal("$", "must be an object, not "+kindNames[v.kind])
	}
	x, d := new(T), &document{at: map[[2]string]string{}}
	(&form{doc: d}).read(&v, "$", func(f *form) { bind(x, f) })
	if d.bad == nil {
		check(x, d)
	}
	if d.bad != nil {
		return nil, d.bad
	}
	return x, nil
}

func write[T any](x *T, bind func(*T, *form)) []byte {
	f := form{doc: &document{}, out: value{kind: object}}
	bind(x, &f)
	return f.out.encode(nil)
}
