package ssf

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
)

// maxBody bounds a request, in bytes.
const maxBody = 16 << 10

// postGlobal is the Global Token Revocation endpoint.
func (s *Server) postGlobal(w http.ResponseWriter, r *http.Request, endpoint string) error {
	c, err := s.identify(w, r, endpoint)
	if err != nil {
		return err
	}
	if wait := s.pace.take(c.name, s.now()); wait > 0 {
		return fault.New(fault.Limited, "Too many revocations at once. Try again in a moment.")
	}
	who, err := readSubject(w, r)
	if err != nil {
		return err
	}
	if c.order != nil {
		err = s.Revoke.Ordered(r.Context(), *c.order, who)
	} else {
		err = s.Revoke.Global(r.Context(), c.actor, who)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func bad(sentence string) error { return fault.New(fault.Invalid, sentence) }

// readSubject reads {"sub_id": {"format": …}}; an older draft, which Auth0 still
// documents, calls the member subject.
func readSubject(w http.ResponseWriter, r *http.Request) (who revoke.Subject, err error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return who, bad("The request must be application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return who, bad("The request is too long.")
	}
	if err != nil {
		return who, fault.Wrap(fault.Invalid, "The request could not be read to its end.", err)
	}
	top, err := members(body)
	if err != nil {
		return who, err
	}
	raw, old := top["sub_id"], top["subject"]
	if raw != nil && old != nil {
		return who, bad("Send sub_id or subject, not both.")
	}
	if raw == nil {
		raw = old
	}
	if raw == nil {
		return who, bad("The member sub_id is missing.")
	}
	sub, err := members(raw)
	if err != nil {
		return who, err
	}
	text := func(name string, v *string) {
		var s string
		if e := json.Unmarshal(sub[name], &s); err == nil && (e != nil || s == "" || len(s) > 1024) {
			err = bad("The subject's member " + name + " must be a text of at most 1024 bytes.")
		}
		*v = s
	}
	switch text("format", &who.Format); who.Format {
	case "email":
		text("email", &who.Email)
	case "iss_sub":
		text("iss", &who.Issuer)
		text("sub", &who.ID)
	case "opaque":
		text("id", &who.ID)
	default:
		if err == nil {
			err = bad("The subject's format is none of email, iss_sub and opaque.")
		}
	}
	return who, err
}

// members reads a JSON object in which each name stands once: of two readers one
// would take the first and one the last.
func members(b []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	out := map[string]json.RawMessage{}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("The request is not a JSON object of the form {\"sub_id\": {…}}.")
	}
	for dec.More() {
		name, err := dec.Token()
		key, _ := name.(string)
		var v json.RawMessage
		if err == nil {
			err = dec.Decode(&v)
		}
		if _, twice := out[key]; err != nil || twice {
			return nil, bad("The request is not JSON with each member once.")
		}
		out[key] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, bad("The request is not JSON.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, bad("There is something after the request.")
	}
	return out, nil
}
