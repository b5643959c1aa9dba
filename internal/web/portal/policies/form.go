package policies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// document is the field with a document as JSON.
func document(text string) webkit.Field {
	return webkit.Field{Name: "document", Label: "The document, as Graph has it", Hint: "JSON. What is not understood whole is refused, with the path of what is wrong. id and instants are kept whatever they say.",
		Value: strings.TrimSpace(text), Mono: true, Lines: 24, Max: 40000, Required: true, Autocomplete: "off"}
}

// at says where a document is wrong, beside its field; false: that is not it.
func at(err error) (string, bool) {
	var w *wire.Fault
	if !errors.As(err, &w) {
		return "", false
	}
	text := strings.TrimSuffix(fault.Public(err), ".")
	if !strings.Contains(text, w.Path) {
		text = w.Path + ": " + text
	}
	return text, true
}

// digest names what consequences were shown of: the document, and what it would do.
func digest(doc []byte, cs []desk.Consequence) string {
	b, err := json.Marshal(cs)
	if err != nil {
		return ""
	}
	h := sha256.New()
	h.Write(doc)
	h.Write([]byte{0})
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// form is a page with a form for a document. What saving would end is shown before
// it is saved: the first press shows it, the second does it.
type form struct {
	desk.FormPage
	version int64
	ref     string // empty: it is created
	kind    govern.Kind
	action  role.Action
	// write makes the document of what was typed.
	write func(webkit.Form) ([]byte, registry.Mistakes, error)
	// where to go on, by the id.
	where func(id string) string
}

func (s *Server) show(v *desk.Visit, p *form, status int) error {
	p.Shell = v.Shell(p.Heading)
	p.Crumbs = []webkit.Link{v.In(), {Text: p.Heading}}
	o := v.Offers()
	o.Command(p.Verb, p.action, role.Target{}, "")
	if p.Refusal = o.Refusal(directory.UserID{}, "", p.Action); p.Refusal != nil {
		status = http.StatusForbidden
	}
	if p.Reason.Name == "" {
		p.Reason = desk.ReasonField("", "")
	}
	if p.version > 0 {
		p.Hidden = append(p.Hidden, desk.VersionField(p.version))
	}
	return desk.Show(v, desk.FormTemplate, status, p.FormPage)
}

// post saves, or shows the form again: with what was typed and what is wrong, or with
// what saving would do.
func (s *Server) post(v *desk.Visit, p *form) error {
	f, err := webkit.ParseForm(v.W, v.R)
	if err != nil {
		return err
	}
	p.Reason = desk.ReasonField(f.Get("reason"), "")
	how := govern.How{Act: manage.Act{Reason: f.Get("reason")}}
	if p.version > 0 {
		how.IfVersion = desk.FilledFrom(f)
	}
	again := func(status int, m registry.Mistakes, err error) error {
		registry.Fill(p.Sets, f, m)
		p.Problem = m.Problem(p.Sets)
		if err != nil {
			p.Problem = &webkit.Problem{Title: "Error: nothing was saved", Items: []webkit.ProblemItem{{Text: fault.Public(err)}}}
			status = webkit.StatusOf(err)
			v.RetryAfter(err)
		}
		return s.show(v, p, status)
	}
	doc, m, err := p.write(f)
	if len(f.Get("reason")) > desk.MaxReason {
		p.Reason.Error = "The reason has at most 500 characters"
		return again(http.StatusUnprocessableEntity, m, fault.New(fault.Invalid, p.Reason.Error+"."))
	}
	if len(m) > 0 || err != nil {
		return again(http.StatusUnprocessableEntity, m, err)
	}
	refuse := func(err error) error {
		if text, ok := at(err); ok && p.has("document") {
			return again(http.StatusUnprocessableEntity, registry.Mistakes{"document": text}, nil)
		}
		switch fault.KindOf(err) {
		case fault.Invalid, fault.Conflict, fault.Denied, fault.NotFound, fault.Unavailable:
			return again(0, nil, err)
		}
		return err
	}
	if role.Allowed(v.Actor, p.action, role.Target{}).OK {
		_, e, err := s.Govern.WhatIf(v.Ctx(), v.Actor, govern.Suppose{Kind: p.kind, Ref: p.ref, Doc: doc})
		if err != nil {
			return refuse(err)
		}
		b, err := s.book(v)
		if err != nil {
			return err
		}
		does := e.Sessions.Ends+e.Sessions.Asks+e.Sessions.Shortens+e.Grants.Ends+e.Grants.Asks+e.Grants.Shortens > 0
		cs := b.consequences(e)
		if seen := digest(doc, cs); does && f.Get("seen") != seen {
			p.Consequences, p.Hidden = cs, []desk.Hidden{{Name: "seen", Value: seen}}
			p.Intro = strings.TrimSpace("Nothing is saved yet. Saving this does the following; save again to do it. " + part(e))
			return again(http.StatusOK, nil, nil)
		}
	}
	id := p.ref
	if p.ref == "" {
		made, _, err := s.Govern.Create(v.Ctx(), v.Actor, p.kind, doc, how)
		if err != nil {
			return refuse(err)
		}
		id = made.ID()
	} else if _, err := s.Govern.Change(v.Ctx(), v.Actor, p.kind, p.ref, doc, how); err != nil {
		return refuse(err)
	}
	return v.To(p.where(id))
}

func (p *form) has(name string) bool {
	for _, set := range p.Sets {
		for _, f := range set.Fields {
			if f.Name == name {
				return true
			}
		}
	}
	return false
}

// typedDocument is the document as it was typed, if it is JSON at all.
func typedDocument(f webkit.Form) ([]byte, registry.Mistakes, error) {
	doc := []byte(strings.TrimSpace(f.Get("document")))
	if len(doc) == 0 {
		return nil, registry.Mistakes{"document": "Write a document"}, nil
	}
	return doc, nil, nil
}

// replacing makes the patch that puts a document in the place of another: a member
// that was there, at any depth, and is not in it, is taken away. What is no object is
// left as it was typed: govern says what is wrong with it. What the server gives
// itself may be missing.
func replacing(old, doc json.RawMessage, given ...string) json.RawMessage {
	var was map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(doc))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || json.Unmarshal(old, &was) != nil || was == nil || !json.Valid(doc) {
		return doc
	}
	var members []string
	kept := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var raw json.RawMessage
		if err != nil || !ok || d.Decode(&raw) != nil {
			return doc
		}
		kept[name] = true
		members = append(members, quoted(name)+":"+string(replacing(was[name], raw)))
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if !kept[name] && !slices.Contains(given, name) {
			members = append(members, quoted(name)+":null")
		}
	}
	return json.RawMessage("{" + strings.Join(members, ",") + "}")
}

func quoted(name string) string {
	b, err := json.Marshal(name)
	if err != nil { // a string always can be
		return `""`
	}
	return string(b)
}

// edit is the form of a policy.
func (s *Server) edit(v *desk.Visit) (*form, error) {
	d, err := s.Govern.Show(v.Ctx(), v.Actor, govern.Policy, v.R.PathValue("id"))
	if err != nil {
		return nil, err
	}
	old := d.Format()
	path := desk.PolicyPath(d.ID())
	return &form{FormPage: desk.FormPage{Heading: "Edit " + d.Name(), Verb: Edit, Button: "Save", Action: path + "/edit", KeepURL: path, Sets: []webkit.Fieldset{{Legend: "Policy", Fields: []webkit.Field{document(indented(d))}}}},
		version: d.Version, ref: d.ID(), kind: govern.Policy, action: role.UpdatePolicy, where: func(string) string { return path + "?done=saved" },
		write: func(f webkit.Form) ([]byte, registry.Mistakes, error) {
			doc, m, err := typedDocument(f)
			if doc != nil {
				doc = replacing(old, doc, "id", "createdDateTime", "modifiedDateTime")
			}
			return doc, m, err
		}}, nil
}

func (s *Server) getEdit(v *desk.Visit) error {
	p, err := s.edit(v)
	if err != nil {
		return err
	}
	return s.show(v, p, http.StatusOK)
}

func (s *Server) postEdit(v *desk.Visit) error {
	p, err := s.edit(v)
	if err != nil {
		return err
	}
	return s.post(v, p)
}
