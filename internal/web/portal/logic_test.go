package portal

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func percent(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || v < 0 || v > 100 {
		t.Fatalf("%q is no percentage", s)
	}
	return v
}

func TestTimelineBarsEndWhereTheirTokensDo(t *testing.T) {
	t.Parallel()
	p := ada().Access.Timeline.Plot()
	line := percent(t, p.LineX)
	if p.Flag != "now 12:04:12" || p.After {
		t.Errorf("flag %q", p.Flag)
	}
	type end struct {
		x  float64
		at time.Time
	}
	var ends []end
	for _, l := range p.Lanes {
		if l.Height < len(l.Bars)*24 {
			t.Errorf("%s: %d px for %d bars", l.Name, l.Height, len(l.Bars))
		}
		for i, b := range l.Bars {
			if d := percent(t, b.PastX) + percent(t, b.PastW) - line; d > 0.02 || d < -0.02 {
				t.Errorf("%s: the past ends %.2f %% from now", b.Name, d)
			}
			if b.Renews {
				if b.End != "renewed while used →" || percent(t, b.EndX) != 100 {
					t.Errorf("%s: %q at %s", b.Name, b.End, b.EndX)
				}
				continue
			}
			ends = append(ends, end{percent(t, b.EndX), l.Lane.Bars[i].To})
			if b.Wild == l.Guarded || b.Dead {
				t.Errorf("%s in %s: wild %v dead %v", b.Name, l.Name, b.Wild, b.Dead)
			}
		}
	}
	// One scale for all lanes: position grows evenly with time.
	perMinute := (ends[0].x - line) / ends[0].at.Sub(at("12:04:12")).Minutes()
	for _, e := range ends {
		if want := line + perMinute*e.at.Sub(at("12:04:12")).Minutes(); e.x-want > 0.05 || want-e.x > 0.05 {
			t.Errorf("end %s at %.2f %%, want %.2f", e.at.Format("15:04:05"), e.x, want)
		}
	}
	for _, tick := range p.Ticks {
		if !strings.HasSuffix(tick.Text, ":00") && !strings.HasSuffix(tick.Text, ":15") && !strings.HasSuffix(tick.Text, ":30") && !strings.HasSuffix(tick.Text, ":45") {
			t.Errorf("tick at %s", tick.Text)
		}
	}
	if len(p.Ticks) < 4 {
		t.Errorf("%d ticks", len(p.Ticks))
	}
}

func TestTimelineAfterTheCut(t *testing.T) {
	t.Parallel()
	p := adaRevoked().Access.Timeline.Plot()
	if p.Flag != "cut 12:04:31.220" {
		t.Errorf("flag %q", p.Flag)
	}
	for _, l := range p.Lanes {
		for _, b := range l.Bars {
			if b.Dead != l.Guarded || b.Wild == l.Guarded {
				t.Errorf("%s in %s: dead %v, unguarded %v", b.Name, l.Name, b.Dead, b.Wild)
			}
			if closing := b.CloseW != ""; closing != (l.Name == "Drive") {
				t.Errorf("%s in %s: closing stretch %q", b.Name, l.Name, b.CloseW)
			}
			if b.Dead && b.Renews && b.End != "" {
				t.Errorf("%s is cut and still says %q", b.Name, b.End)
			}
		}
	}
}

func TestReceiptOrderIsTimeUnresolvedLast(t *testing.T) {
	t.Parallel()
	r := adaReceipt()
	var order []string
	for _, row := range r.Sorted() {
		order = append(order, row.Where)
	}
	if got := strings.Join(order, " "); got != "curfew mail-2 mail-1 drive-1 mail-3 drive-2 drive-3 " {
		t.Errorf("order %q", got)
	}
	tiles := r.Remaining()
	if len(tiles) != 2 || tiles[0].What != "Drive, at drive-3" || tiles[0].T != "by 12:04:35.0" || tiles[1].T != "until 12:51:07" || tiles[1].What != "Legacy, 1 access token" {
		t.Errorf("left: %+v", tiles)
	}
}

func TestReceiptTitlesNeverSaySuccess(t *testing.T) {
	t.Parallel()
	r := adaReceipt()
	if r.Title() != "Sessions revoked at 12:04:31.220" || r.Did() != "" {
		t.Errorf("title %q", r.Title())
	}
	if r.Live() != "5 of 6 guards confirmed, slowest 44 ms." || r.Short() != "5 of 6" || r.Complete() {
		t.Errorf("live %q", r.Live())
	}
	r.Confirmed, r.Rows = 0, r.Rows[:3]
	if r.Title() != "Revoked, no guard has confirmed yet" || r.Did() != "Sessions revoked at 12:04:31.220" || r.Axis() != nil {
		t.Errorf("title %q, did %q", r.Title(), r.Did())
	}
	r.OverSince = at("12:51:07")
	if r.Title() != "Over since 12:51:07" {
		t.Errorf("title %q", r.Title())
	}
	r = Receipt{Clock: r.Clock, Act: "Sessions revoked", At: r.At}
	if r.Live() != "No guard had to confirm." || !strings.HasPrefix(r.Title(), "Sessions revoked at") {
		t.Errorf("no guards: %q %q", r.Live(), r.Title())
	}
}

func TestClosedGuardIsNeverConfirmed(t *testing.T) {
	t.Parallel()
	r := adaReceipt()
	row := ReceiptRow{State: Closed, At: at("12:04:35.0")}
	if r.After(row) != "–" || r.AtText(row) != "12:04:35.0" || Closed.Word() == Confirmed.Word() || Closed.Left() {
		t.Errorf("closed: after %q, at %q, %q", r.After(row), r.AtText(row), Closed.Word())
	}
}

func TestAxisHoldsEveryConfirmation(t *testing.T) {
	t.Parallel()
	for _, ms := range [][]int{{31, 34, 36, 41, 44}, {1}, {0, 3}, {9, 3700}, {59, 60, 61}, {20_000}, {49, 50, 51}} {
		r := Receipt{Clock: ada().Clock, At: at("12:04:31.220"), Promise: 50 * time.Millisecond, Guards: len(ms), Confirmed: len(ms)}
		for _, d := range ms {
			r.Rows = append(r.Rows, ReceiptRow{Where: "g", State: Confirmed, At: r.At.Add(time.Duration(d) * time.Millisecond)})
		}
		a := r.Axis()
		if a == nil || len(a.Dots) != len(ms) || len(a.Ticks) < 4 || len(a.Ticks) > 10 {
			t.Fatalf("%v: %+v", ms, a)
		}
		last := -1.0
		for i, d := range a.Dots {
			x := percent(t, d.X)
			if x < last || x > percent(t, a.Ticks[len(a.Ticks)-1].X) {
				t.Errorf("%v: dot %d at %v", ms, i, x)
			}
			last = x
		}
		if a.First == nil && a.Last == nil {
			t.Errorf("%v: nobody is named", ms)
		}
		if percent(t, a.PromiseX) > 98 {
			t.Errorf("%v: promise at %s", ms, a.PromiseX)
		}
	}
}

func TestPageSaysTheSameAsItsTimeline(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, name := range []string{"user", "user-receipt"} {
		d := webkittest.Parse(t, all[name])
		n := 0
		for _, svg := range d.All("svg") {
			if svg.Attr["role"] != "img" {
				continue
			}
			_, outcome, ok := strings.Cut(svg.Attr["aria-label"], ": ")
			if ok && !strings.Contains(d.Text(), strings.SplitN(outcome, ",", 2)[0]) {
				t.Errorf("%s: %q is not said in text", name, outcome)
			}
			n++
		}
		if n < 4 {
			t.Errorf("%s: %d pictures", name, n)
		}
	}
}

func TestBrowserTitleCountsWhileAReceiptIsOpen(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for name, want := range map[string]string{"user": "Ada Lovelace – curfew", "user-receipt": "5 of 6 – Ada Lovelace – curfew", "confirm-all": "Error: Revoke Ada Lovelace's sessions? – curfew"} {
		if got := webkittest.Parse(t, all[name]).All("title")[0].Text; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRefusedVerbsStayInSightAndNameTheRole(t *testing.T) {
	t.Parallel()
	d := webkittest.Parse(t, pages(t)["user-refused"])
	n := 0
	for _, a := range d.All("a") {
		if a.Attr["aria-disabled"] == "true" {
			n++
			if a.Attr["aria-describedby"] != "refusal" || a.Has("data-dialog") {
				t.Errorf("refused %q: %v", a.Text, a.Attr)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d refused verbs in sight, want 3", n)
	}
	for _, want := range []string{"Anita holds Global Administrator. Your role cannot act on it.", "you need Privileged Authentication Administrator or Global Administrator . You hold User Administrator.", "4 people can"} {
		if !strings.Contains(d.Text(), want) {
			t.Errorf("does not say %q", want)
		}
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	c := ada().Clock
	for _, row := range []struct {
		e           Ending
		short, long string
	}{
		{legacyEnd, "12:51, Legacy", "Not before 12:51:07"},
		{Ending{Kind: NotBefore, At: at("12:51:07")}, "12:51", "Not before 12:51:07"},
		{guarded, "10 s", "Within 10 s"},
		{atOnce, "At once", "At once"},
		{Ending{Kind: NothingLive}, "Nothing live", "Nothing live"},
		{Ending{}, "–", "–"},
	} {
		if row.e.Short(c) != row.short || row.e.Long(c) != row.long {
			t.Errorf("%+v: %q %q", row.e, row.e.Short(c), row.e.Long(c))
		}
	}
}

func TestBulkVerbs(t *testing.T) {
	t.Parallel()
	for _, v := range []desk.Verb{RevokeSessions, DisableAccount, EnableAccount, ResetPassword} {
		if got, ok := ParseBulkVerb(v.Slug); !ok || got != v {
			t.Errorf("%s: %v %v", v.Slug, got, ok)
		}
	}
	if _, ok := ParseBulkVerb("delete"); ok {
		t.Error("an unknown verb was taken")
	}
	b := BulkResult{Rows: []BulkRow{{State: Ended}, {State: Ended}, {State: Refused}}}
	if b.Counts() != "2 revoked, 1 refused, 0 failed" {
		t.Errorf("counts %q", b.Counts())
	}
}

func TestPathsEscapeIDs(t *testing.T) {
	t.Parallel()
	if got := AppVerbPath("a/../b?c#d e", RevokeApp); got != "/portal/applications/a%2F..%2Fb%3Fc%23d%20e/revoke" {
		t.Errorf("path %q", got)
	}
}
