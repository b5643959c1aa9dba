package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// told is a world in which the application mail takes no notice of logouts, and
// has just been told of one.
func told(t *testing.T) (w *world, status *atomic.Int64) {
	t.Helper()
	w, status = newWorld(t), &atomic.Int64{}
	status.Store(http.StatusBadRequest)
	asked := make(chan struct{}, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(int(status.Load()))
		asked <- struct{}{}
	}))
	t.Cleanup(receiver.Close)
	allow, err := egress.ParseAllow("127.0.0.1")
	w.must(err)
	w.Deliver.Egress = &egress.Client{Allow: allow}
	ada, err := directory.ParseID[directory.User](w.names["ada"])
	w.must(err)
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		old, err := tx.App("mail")
		if err != nil {
			return err
		}
		app := *old
		app.BackChannelLogoutURI = receiver.URL + "/out?secret=1"
		now := w.clock.Now()
		g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: ada, App: "mail", Offline: true, Created: now, LastUsed: now, AuthTime: now, State: grant.State{Generation: 1}}
		if err := tx.SaveApp(&app); err != nil {
			return err
		}
		return tx.CreateGrant(g)
	}))
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(ada, directory.SessionID{}, [32]byte{})
		return err
	}))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Deliver.Run(ctx) }()
	<-asked
	for len(w.letters()) == 0 { // it is written after the answer
		runtime.Gosched()
	}
	stop()
	w.must(<-ended)
	return w, status
}

func (w *world) letters() []deliver.Letter {
	all, err := w.Deliver.Letters(context.Background(), operator, deliver.LetterID{}, 10)
	w.must(err)
	return all
}

func (w *world) json(method, target, who string, header http.Header) (int, map[string]any) {
	w.t.Helper()
	res := w.do(method, target, w.token(who), header, nil)
	b, err := io.ReadAll(res.Body)
	w.must(err)
	var m map[string]any
	if len(bytes.TrimSpace(b)) > 0 {
		w.must(json.Unmarshal(b, &m))
	}
	return res.StatusCode, m
}

func TestDeliveriesAndDeadLettersAreShownRetriedAndDropped(t *testing.T) {
	t.Parallel()
	w, status := told(t)
	code, m := w.json("GET", "/v1.0/curfew/deliveries", "hedy", nil)
	all := m["value"].([]any)
	first := all[0].(map[string]any)
	if code != 200 || len(all) != 1 || first["app"] != "mail" || first["state"] != "upToDate" || first["deadLetters"] != 1.0 || first["failing"] != nil || strings.Contains(first["host"].(string), "secret") {
		t.Errorf("deliveries: %d %v", code, m)
	}
	code, m = w.json("GET", "/v1.0/curfew/deadLetters?top=1", "hedy", nil)
	letter := m["value"].([]any)[0].(map[string]any)
	id := letter["id"].(string)
	if code != 200 || letter["app"] != "mail" || letter["user"] != w.names["ada"] || letter["error"] != "The application answered 400." || letter["cause"] != "revoked" || letter["rest"] != false {
		t.Errorf("dead letters: %d %v", code, m)
	}
	next, _ := m["@odata.nextLink"].(string)
	if !strings.HasSuffix(next, "/v1.0/curfew/deadLetters?after="+id+"&top=1") {
		t.Errorf("next page: %q", next)
	}
	if code, m = w.json("GET", strings.TrimPrefix(next, base), "hedy", nil); code != 200 || len(m["value"].([]any)) != 0 {
		t.Errorf("next page: %d %v", code, m)
	}
	dry := http.Header{"Curfew-Dry-Run": {"true"}}
	for _, c := range []struct {
		method, target, who string
		header              http.Header
		want                int
	}{
		{"GET", "/v1.0/curfew/deliveries?top=1", "hedy", nil, 400},
		{"GET", "/v1.0/curfew/deadLetters?top=0", "hedy", nil, 400},
		{"GET", "/v1.0/curfew/deadLetters?top=501", "hedy", nil, 400},
		{"GET", "/v1.0/curfew/deadLetters?after=x", "hedy", nil, 400},
		{"GET", "/v1.0/curfew/deliveries", "ada", nil, 403},
		{"GET", "/v1.0/curfew/deadLetters", "ada", nil, 403},
		{"POST", "/v1.0/curfew/deadLetters/" + id + "/retry", "ada", nil, 403},
		{"POST", "/v1.0/curfew/deadLetters/" + id + "/drop", "ada", nil, 403},
		{"POST", "/v1.0/curfew/deliveries/mail/retry", "ada", nil, 403},
		{"POST", "/v1.0/curfew/deadLetters/x/retry", "grace", nil, 404},
		{"POST", "/v1.0/curfew/deadLetters/" + w.names["ada"] + "/drop", "grace", nil, 404},
		{"POST", "/v1.0/curfew/deliveries/nobody/retry", "grace", nil, 404},
		{"POST", "/v1.0/curfew/deliveries/mail/retry", "grace", nil, 204},
		{"POST", "/v1.0/curfew/deliveries/mail/retry", "grace", dry, 200},
		{"POST", "/v1.0/curfew/deadLetters/" + id + "/retry", "grace", nil, 503},
		{"POST", "/v1.0/curfew/deadLetters/" + id + "/drop", "grace", dry, 200},
		{"POST", "/v1.0/curfew/deadLetters/" + id + "/retry", "grace", dry, 200},
	} {
		if code, m := w.json(c.method, c.target, c.who, c.header); code != c.want || code == 200 && m["dryRun"] != true {
			t.Errorf("%s %s by %s: %d %v, want %d", c.method, c.target, c.who, code, m, c.want)
		}
	}
	if all := w.letters(); len(all) != 1 || all[0].Attempts != 2 {
		t.Errorf("left: %+v", all)
	}
	status.Store(http.StatusOK)
	if code, m := w.json("POST", "/v1.0/curfew/deadLetters/"+id+"/retry", "grace", nil); code != 204 || len(w.letters()) != 0 {
		t.Errorf("taken: %d %v, left %d", code, m, len(w.letters()))
	}
}
