package world

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the server's file

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
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

// Laptop has the browser say that it runs on Windows: what says nothing of itself can
// meet no policy about devices.
func (b *Browser) Laptop() *Browser {
	b.http.Transport = laptop{b.http.Transport}
	return b
}

type laptop struct{ http.RoundTripper }

func (l laptop) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0")
	return l.RoundTripper.RoundTrip(r)
}

// Register makes the browser, in which somebody is signed in, a device, and returns
// its id: the browser answers what the page's script would.
func (b *Browser) Register(t *testing.T) (id string) {
	t.Helper()
	d := &webkittest.Device{Client: b.http, Base: b.w.Base}
	if status, err := d.Register("Laptop"); err != nil || status != http.StatusOK {
		t.Fatalf("register: %d %v", status, err)
	}
	return d.ID
}

// Compliant says that a device is.
func (w *World) Compliant(t *testing.T, admin, device string) {
	t.Helper()
	w.post(t, http.MethodPatch, "/v1.0/devices/"+device, admin, `{"isCompliant": true}`, http.StatusNoContent, nil)
}

// Lost says that a device is in other hands.
func (w *World) Lost(t *testing.T, admin, device string) {
	t.Helper()
	w.post(t, http.MethodPost, "/v1.0/curfew/devices/"+device+"/lost", admin, `{}`, http.StatusNoContent, nil)
}

// Age makes what somebody proved as old as if the given time had passed since: no
// test waits an hour for a sign-in to be too old. The server reads these rows anew
// at each use; the way is its file, because a clock to be set would be a knob that
// nobody else needs.
func (w *World) Age(t *testing.T, admin, user string, by time.Duration) {
	t.Helper()
	id, err := uuid.Parse(w.id(t, admin, user))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(w.data, "curfew.db"))+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"sessions", "grants"} {
		res, err := db.ExecContext(t.Context(), "UPDATE "+table+" SET auth_time = auth_time - ?, second = CASE second WHEN 0 THEN 0 ELSE second - ? END WHERE user_id = ?", by.Microseconds(), by.Microseconds(), id[:])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			t.Fatalf("%s of %s: %d rows, %v", table, user, n, err)
		}
	}
	steps := int64(by / (30 * time.Second)) // the codes of the app that were used lie back as well
	if _, err := db.ExecContext(t.Context(), "UPDATE methods SET counter = counter - ? WHERE user_id = ? AND kind = 'totp' AND counter > ?", steps, id[:], steps); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.apps[user]; a != nil {
		a.last -= steps
	}
}
