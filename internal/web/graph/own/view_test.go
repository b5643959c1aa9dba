package own

import (
	"bytes"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/web/graph/api"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestWhatIsDoneIsToldEvenWithoutTheReceipt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	db := storetest.Open(t, store.Config{URL: filepath.Join(t.TempDir(), "curfew.db")})
	s := Server{Server: &api.Server{Relay: &relay.Service{DB: db}, Now: func() time.Time { return now }}}
	r := &manage.Receipt{ID: "rc_00000000-7", Pos: 7, At: now, Cause: "revoked", Reason: "leaked"}
	v := s.receipt(&call{R: httptest.NewRequest("GET", "/", nil)}, r)
	if v.ID != r.ID || v.Pos != 7 || v.Reason != "leaked" || v.Title != relay.TitleUnconfirmed || v.Complete || v.Counted {
		t.Errorf("%+v", v)
	}
}

// TestNamesOnTheWire writes down every name of our own JSON. Names are only ever
// added: other people's programs read them.
func TestNamesOnTheWire(t *testing.T) {
	t.Parallel()
	var names []string
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of == timeType {
			names = append(names, path)
			return
		}
		for i := range of.NumField() {
			if n := wireName(of.Field(i)); n != "" {
				walk(path+"."+n, of.Field(i).Type)
			}
		}
	}
	for name, v := range map[string]any{"receipt": relay.ReceiptView{}, "exposure": relay.Exposure{}, "guard": relay.GuardView{}, "line": relay.LedgerLine{},
		"import": manage.ImportReport{}, "apply": manage.ApplyReport{}, "app": directory.App{}, "resource": directory.Resource{}, "assignment": manage.AppAssignment{}, "setting": standing.Setting{}, "delivery": deliver.Recipient{}, "deadLetter": deliver.Letter{}, "key": rotate.SigningKey{}} {
		walk(name, reflect.TypeOf(v))
	}
	slices.Sort(names)
	text := strings.Join(names, "\n") + "\n"
	if strings.Contains(text, "hash") {
		t.Error("a hash is written")
	}
	if *update {
		w := os.WriteFile("testdata/names.txt", []byte(text), 0o644)
		if w != nil {
			t.Fatal(w)
		}
	}
	if want, err := os.ReadFile("testdata/names.txt"); err != nil || string(want) != text {
		t.Errorf("testdata/names.txt is not what is written now (%v):\n%s", err, text)
	}
}

func TestAHashIsNeverWritten(t *testing.T) {
	t.Parallel()
	app := &directory.App{ID: "x", Secrets: []directory.AppSecret{{ID: "1", Hash: []byte("the hash of it"), Hint: "abc"}}}
	b, err := api.Encode(view(app))
	if err != nil || bytes.Contains(b, []byte("dGhlIGhhc2gg")) || !bytes.Contains(b, []byte(`"hint":"abc"`)) {
		t.Errorf("%s %v", b, err)
	}
}
