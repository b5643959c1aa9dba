package journal_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Somebody guesses secrets from everywhere: the log hears of it, and stays small.
func TestAFloodOfRefusalsIsCountedAndNotWrittenDown(t *testing.T) {
	t.Parallel()
	var at atomic.Int64
	at.Store(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixMilli())
	j, err := journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: func() time.Time { return time.UnixMilli(at.Load()).UTC() }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	refused := func(app directory.AppID, ip string) {
		j.Rarely(&journal.Entry{Kind: journal.Service, App: app, IP: ip, Error: 7000215, Reason: "No."})
	}
	written := func() (all []journal.Entry) {
		t.Helper()
		all, _, err := j.List(t.Context(), journal.Query{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for range 1000 {
		refused("site", "198.51.100.7")
		refused("site", "2001:db8::7")
		refused("site", "2001:db8::8") // the same network
		refused("robot", "198.51.100.7")
	}
	if all := written(); len(all) != 3 {
		t.Fatalf("%d entries, want one of each application and network", len(all))
	}
	at.Add(time.Minute.Milliseconds())
	refused("site", "198.51.100.7")
	if all := written(); len(all) != 4 || !strings.Contains(all[0].Reason, "3996 more like it") || strings.Contains(all[3].Reason, "more") {
		t.Fatalf("%d: %+v", len(all), all)
	}
	// From everywhere, for an hour: 60 at once and one each ten seconds.
	for range 3600 {
		for n := range 20 {
			refused("site", fmt.Sprintf("2001:db8:%x:%x::1", at.Load()/1000%60000, n))
		}
		at.Add(1000)
	}
	if n := len(written()); n < 400 || n > 4+60+360 {
		t.Errorf("%d entries of 72,000 refusals", n)
	}
}
