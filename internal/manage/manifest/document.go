package manifest

import (
	"encoding/json"

	"github.com/curfew-id/curfew/internal/directory"
)

// Document is a policy or a named location in Graph's form, by its displayName: one
// that is there is changed by it as by a PATCH.
type Document struct {
	Document string // JSON

	Name string `toml:"-"` // its displayName
}

// check reads no more than the name: what the document says is read, whole, by who
// stores it.
func (d *Document) check() error {
	var doc struct {
		Name string `json:"displayName"`
	}
	if json.Unmarshal([]byte(d.Document), &doc) != nil {
		return invalid("The key document must hold a JSON object.")
	}
	d.Name = doc.Name
	return directory.CheckRequired("The displayName of the document", doc.Name, 256)
}
