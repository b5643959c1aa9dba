package govern

import (
	"encoding/json"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Agreement is terms of use, which a policy may demand that people accept. Changed
// terms are to be accepted anew: the store compares versions.
type Agreement struct {
	ID       string    `json:"id"`
	Name     string    `json:"displayName"`
	Text     string    `json:"text"` // what people read
	Created  time.Time `json:"createdDateTime"`
	Modified time.Time `json:"modifiedDateTime"`
}

const maxTerms = 20000 // bytes of the text

func (a *Agreement) format() []byte {
	b, _ := json.Marshal(a) // texts and instants always have a form
	return b
}

// readAgreement reads terms of use, whole. Kind: Invalid, with the path.
func readAgreement(b []byte) (*Agreement, error) {
	n, err := parse(b)
	if err != nil {
		return nil, err
	}
	if !n.object {
		return nil, at("$", "must be an object")
	}
	a := &Agreement{}
	into := map[string]any{"id": &a.ID, "displayName": &a.Name, "text": &a.Text, "createdDateTime": &a.Created, "modifiedDateTime": &a.Modified}
	for i, name := range n.names {
		to, path := into[name], "$"+step1(name)
		switch {
		case to == nil:
			return nil, at(path, "is unknown here")
		case n.items[i].object || json.Unmarshal([]byte(n.items[i].text), to) != nil:
			return nil, at(path, "is not a text")
		}
	}
	switch {
	case directory.CheckRequired("", a.Name, 256) != nil:
		return nil, at("$.displayName", "is not a line of 1 to 256 printable characters")
	case a.Text == "" || len(a.Text) > maxTerms:
		return nil, at("$.text", "is empty, or longer than 20000 bytes")
	}
	return a, nil
}
