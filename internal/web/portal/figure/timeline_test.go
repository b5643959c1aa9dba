package figure

import (
	"strconv"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

var clock = webkit.Clock{Now: at("12:04:12")}

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-03-02 "+s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestTimelineOfManyBarsShowsTheLatestEnds(t *testing.T) {
	t.Parallel()
	var bars []Bar
	for i := range 17 { // not in order of their ends
		bars = append(bars, Bar{Name: strconv.Itoa(i), From: at("12:00:00"), To: at("12:10:00").Add(time.Duration(i*7%17) * time.Minute)})
	}
	tl := Timeline{Clock: clock, Lanes: []Lane{{Name: "Drive", Guarded: true, Bars: bars}, {Name: "Six", Guarded: true, Bars: bars[:6]}}}
	p := tl.Plot()
	if len(p.Lanes[0].Bars) != 5 || p.Lanes[0].More != "and 12 more, last 12:21:00" {
		t.Errorf("%d bars, %q", len(p.Lanes[0].Bars), p.Lanes[0].More)
	}
	for _, b := range p.Lanes[0].Bars {
		if b.End < "12:22:00" {
			t.Errorf("bar that ends %s is shown", b.End)
		}
	}
	if len(p.Lanes[1].Bars) != 6 || p.Lanes[1].More != "" {
		t.Errorf("six bars: %d, %q", len(p.Lanes[1].Bars), p.Lanes[1].More)
	}
	same := make([]Bar, 9)
	for i := range same {
		same[i] = Bar{To: at("12:30:00")}
	}
	if kept, rest := latest(same); len(kept) != 5 || !rest.Equal(at("12:30:00")) {
		t.Errorf("equal ends: %d kept, rest %v", len(kept), rest)
	}
}

func TestTimelineOfDaysHasFewTicks(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{0, time.Minute, 3 * time.Hour, 28 * time.Hour, 89 * 24 * time.Hour} {
		tl := Timeline{Clock: clock, Lanes: []Lane{{Name: "Mail", Guarded: true, Bars: []Bar{{From: at("11:00:00"), To: at("12:04:12").Add(life)}}}}}
		if n := len(tl.Plot().Ticks); n > 8 || n < 1 {
			t.Errorf("life %v: %d ticks", life, n)
		}
	}
}
