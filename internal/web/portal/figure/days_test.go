package figure

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Bars of one day stand on each other without a gap, none is outside of the drawing,
// what is small shows all the same, and the text says every number.
func TestDaysStackAndSayEveryNumber(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)
	d := Days{Clock: webkit.Clock{Now: now}, Title: "What it did", Series: []Series{{Name: "Passed", Class: "live"}, {Name: "Asked", Class: "wild", Hatched: true}, {Name: "Refused", Class: "bad"}}}
	for i := range 14 {
		d.Days = append(d.Days, Day{At: now.AddDate(0, 0, i-13), Counts: []int64{int64(i * 1000), int64(i % 3), int64(i % 2)}})
	}
	p := d.Plot()
	if d.Total() != 91_000+13+7 || len(p.Days) != 14 {
		t.Errorf("total %d, %d days", d.Total(), len(p.Days))
	}
	base := map[string]int{}
	for _, b := range p.Bars {
		if b.Height < 2 || b.Y < 0 || b.Y+b.Height > p.Height {
			t.Errorf("%s: %d high at %d of %d", b.Title, b.Height, b.Y, p.Height)
		}
		if at, ok := base[b.X]; ok && b.Y+b.Height != at {
			t.Errorf("%s does not stand on what is below it", b.Title)
		}
		base[b.X] = b.Y
		x, err := strconv.ParseFloat(strings.TrimSuffix(b.X, "%"), 64)
		w, err2 := strconv.ParseFloat(strings.TrimSuffix(p.Width, "%"), 64)
		if err != nil || err2 != nil || x < 0 || x+w > 100 {
			t.Errorf("%s at %s, %s wide", b.Title, b.X, p.Width)
		}
	}
	for _, want := range []string{"today: 13,000 passed, 1 asked and 1 refused", "yesterday: 12,000 passed"} {
		if !strings.Contains(p.Label, want) {
			t.Errorf("the text does not say %q: %s", want, p.Label)
		}
	}
	if empty := (Days{Series: d.Series, Days: d.Days[:1]}).Plot(); empty.Bars != nil {
		t.Errorf("bars of nothing: %v", empty.Bars)
	}
	for n, top := range map[int64]int64{1: 2, 2: 2, 3: 4, 5: 10, 10: 10, 11: 20, 41: 100, 1540: 2000} {
		if got := niceCount(n); got != top {
			t.Errorf("%d ends at %d, want %d", n, got, top)
		}
	}
}
