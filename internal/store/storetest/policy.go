package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/curfew-id/curfew/internal/store"
)

// PolicyID is the id of the n-th policy, location or whatever a test has.
func PolicyID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// Policy is the document of a policy about everybody and everything that is
// switched on, bent: conditions and members are what Graph has there, as JSON
// objects without their braces.
func Policy(n int, conditions, members string) *store.Document {
	c := map[string]any{"users": map[string]any{"includeUsers": []string{"All"}}, "applications": map[string]any{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}}
	p := map[string]any{"id": PolicyID(n), "displayName": fmt.Sprint("Policy ", n), "state": "enabled", "createdDateTime": "2026-03-02T12:04:00Z"}
	for _, x := range []struct {
		into map[string]any
		text string
	}{{c, conditions}, {p, members}} {
		var more map[string]any
		if err := json.Unmarshal([]byte("{"+x.text+"}"), &more); err != nil {
			panic(err)
		}
		maps.Copy(x.into, more)
	}
	p["conditions"] = c
	b, _ := json.Marshal(p)
	return &store.Document{Kind: store.PolicyDocument, ID: PolicyID(n), Doc: string(b)}
}

// Blocks and AsksMFA are what policies do, for short.
const (
	Blocks  = `"grantControls":{"operator":"OR","builtInControls":["block"]}`
	AsksMFA = `"grantControls":{"operator":"OR","builtInControls":["mfa"]}`
)

// Location is the document of a named location of one range.
func Location(n int, cidr string, trusted bool) *store.Document {
	return &store.Document{Kind: store.LocationDocument, ID: PolicyID(n), Doc: fmt.Sprintf(`{"@odata.type":"#microsoft.graph.ipNamedLocation","id":%q,"displayName":"Place %d","isTrusted":%v,"createdDateTime":"2026-03-02T12:04:00Z",
		"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":%q}]}`, PolicyID(n), n, trusted, cidr)}
}

// Rule saves documents, over whatever they were before.
func (w *World) Rule(docs ...*store.Document) {
	w.tb.Helper()
	w.Update(func(tx *store.Tx) error { return Rule(tx, docs...) })
}

// Rule is [World.Rule] in a transaction.
func Rule(tx *store.Tx, docs ...*store.Document) error {
	for _, d := range docs {
		next := *d
		old, err := tx.Document(d.Kind, d.ID)
		switch {
		case err == nil:
			next.Version = old.Version
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := tx.SaveDocument(&next); err != nil {
			return err
		}
	}
	return nil
}

// Unrule deletes documents.
func (w *World) Unrule(docs ...*store.Document) {
	w.tb.Helper()
	w.Update(func(tx *store.Tx) error {
		for _, d := range docs {
			if err := tx.DeleteDocument(d.Kind, d.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
