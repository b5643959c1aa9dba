package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Policy switches a conditional access policy on for one person, over the Graph
// API, and returns what takes it away. conditions and rest are members of Graph's
// document, without the braces around them.
func (w *World) Policy(t *testing.T, admin, user, conditions, rest string) (id string, remove func()) {
	t.Helper()
	var out struct{ ID string }
	w.post(t, http.MethodPost, "/v1.0/identity/conditionalAccess/policies", admin, fmt.Sprintf(`{"displayName": "A test of %s", "state": "enabled", "conditions": {"users": {"includeUsers": [%q]},
		"applications": {"includeApplications": ["All"]}, "clientAppTypes": ["all"]%s}, %s}`, t.Name(), w.id(t, admin, user), conditions, rest), http.StatusCreated, &out)
	return out.ID, func() {
		t.Helper()
		w.post(t, http.MethodDelete, "/v1.0/identity/conditionalAccess/policies/"+out.ID, admin, "", http.StatusNoContent, nil)
	}
}

// id is a user's object id.
func (w *World) id(t *testing.T, admin, user string) string {
	t.Helper()
	var out struct{ ID string }
	w.post(t, http.MethodGet, "/v1.0/users/"+user, admin, "", http.StatusOK, &out)
	return out.ID
}

// post sends JSON to the Graph API.
func (w *World) post(t *testing.T, method, path, admin, body string, status int, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.Base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+admin)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := w.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode == status && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil || res.StatusCode != status {
		t.Fatalf("%s %s: %d %s (%v)", method, path, res.StatusCode, text, err)
	}
}

// Terms writes terms of use and returns their id.
func (w *World) Terms(t *testing.T, admin string) string {
	t.Helper()
	var out struct{ ID string }
	w.post(t, http.MethodPost, "/v1.0/agreements", admin, `{"displayName": "House rules", "text": "Close the door."}`, http.StatusCreated, &out)
	return out.ID
}
