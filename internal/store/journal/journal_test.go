package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// each runs body on both engines, with how to open the journal beside an open
// store.
func each(t *testing.T, body func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal)) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		clock := storetest.NewClock()
		cfg := e.New(t)(store.Config{Now: clock.Now, Sleep: clock.Add})
		storetest.Open(t, cfg)
		body(t, clock, func(c journal.Config) *journal.Journal {
			c.URL, c.Now = journal.Beside(cfg.URL), clock.Now
			j, err := journal.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { j.Close() })
			return j
		})
	})
}

var (
	ada   = directory.NewID[directory.User](time.Now())
	grace = directory.NewID[directory.User](time.Now())
)

func list(t *testing.T, j *journal.Journal, q journal.Query) []journal.Entry {
	t.Helper()
	var all []journal.Entry
	if q.Limit == 0 {
		q.Limit = 100
	}
	for range 1000 {
		page, next, err := j.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if next.IsZero() {
			return all
		}
		q.Before = next
	}
	t.Fatal("the list does not end")
	return nil
}

// whole is an entry with every field set.
func whole(at time.Time) *journal.Entry {
	return &journal.Entry{At: at, Kind: journal.Silent, Flow: "refresh", User: ada, UserName: "ada@contoso.example", Display: "Ada Lovelace", App: "mail", AppName: "Mail", Resource: "api://mail",
		ResourceName: "Mail API", IP: "203.0.113.7", Country: "DE", City: "Köln", Program: policy.Native, Agent: "Firefox on Linux", Request: "0b0a4c1e-1111-4222-8333-944455566677",
		Error: 53003, Reason: "A policy blocks this.", Device: directory.NewID[directory.Device](at), Compliant: policy.No, Trust: policy.Registered, SignInRisk: policy.LowRisk, UserRisk: policy.HighRisk,
		Session: directory.NewID[directory.Session](at), Grant: directory.NewID[directory.Grant](at), Token: "jti", Methods: []string{"pwd", "otp"}}
}

func TestAnEntryIsReadAsItWasAdded(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{})
		s := set(t, on("p1", "MFA everywhere"), report("p2", "Block the mail"))
		f := facts("mail")
		v := s.Decide(f)
		e := whole(clock.Now())
		e.Applied = j.Judged(s, f, &v)
		j.Add(e)
		for i := range reflect.TypeFor[journal.Entry]().NumField() {
			if f := reflect.TypeFor[journal.Entry]().Field(i); f.Name != "Missing" && reflect.ValueOf(e).Elem().Field(i).IsZero() {
				t.Errorf("%s is not set: this test does not test it", f.Name)
			}
		}
		got, err := j.Entry(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status() != journal.Failed || !reflect.DeepEqual(got.Applied.Policies, e.Applied.Policies) || len(got.Applied.Policies) != 2 {
			t.Errorf("policies: %+v", got.Applied)
		}
		got.Applied = e.Applied
		if !reflect.DeepEqual(got, e) {
			t.Errorf("got  %+v\nwant %+v", got, e)
		}
		if all := list(t, j, journal.Query{}); len(all) != 1 || all[0].ID != e.ID {
			t.Errorf("list: %+v", all)
		}
		if _, err := j.Entry(t.Context(), directory.NewID[journal.Entry](clock.Now())); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
}

func TestAnEntryWithoutAnythingIsReadToo(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{})
		e := &journal.Entry{Kind: journal.Interactive, Reason: "zero\x00byte \xff"}
		j.Add(e)
		got, err := j.Entry(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Applied != nil || !got.User.IsZero() || len(got.Methods) != 0 || !got.At.Equal(clock.Now()) {
			t.Errorf("%+v", got)
		}
	})
}

func TestFiltersPickEntries(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{})
		s := set(t, on("p1", "MFA everywhere"))
		blocked, spared := facts("mail"), facts("calendar")
		refused, fine := s.Decide(blocked), s.Decide(spared)
		start := clock.Now()
		add := func(name string, e journal.Entry) {
			clock.Add(time.Minute)
			e.Reason = name
			j.Add(&e)
		}
		session, made := directory.NewID[directory.Session](start), directory.NewID[directory.Grant](start)
		add("a", journal.Entry{Kind: journal.Interactive, User: ada, UserName: "ada", App: "mail", IP: "192.0.2.1", Session: session})
		add("b", journal.Entry{Kind: journal.Silent, User: ada, UserName: "ada", App: "mail", Error: 53003, Applied: j.Judged(s, blocked, &refused), Request: "r1", Grant: made})
		add("c", journal.Entry{Kind: journal.Silent, User: grace, UserName: "grace", App: "calendar", Applied: j.Judged(s, spared, &fine), Token: "t1"})
		add("d", journal.Entry{Kind: journal.Service, User: grace, UserName: "grace", App: "batch", Error: 7000215, UserRisk: policy.HighRisk})
		yes, no := true, false
		for _, tt := range []struct {
			want string
			q    journal.Query
		}{
			{"dcba", journal.Query{}},
			{"ba", journal.Query{User: ada}},
			{"dc", journal.Query{UserName: "grace"}},
			{"ba", journal.Query{App: "mail"}},
			{"d", journal.Query{From: start.Add(4 * time.Minute)}},
			{"cba", journal.Query{To: start.Add(4 * time.Minute)}},
			{"cb", journal.Query{From: start.Add(2 * time.Minute), To: start.Add(4 * time.Minute)}},
			{"b", journal.Query{User: ada, From: start.Add(2 * time.Minute)}},
			{"cb", journal.Query{Kind: journal.Silent}},
			{"a", journal.Query{Asked: &yes}},
			{"dcb", journal.Query{Asked: &no}},
			{"ca", journal.Query{Success: &yes}},
			{"db", journal.Query{Success: &no}},
			{"b", journal.Query{Error: 53003}},
			{"dca", journal.Query{NotError: 53003}},
			{"b", journal.Query{Status: journal.Failed}},
			{"c", journal.Query{Status: journal.NotApplied}},
			{"b", journal.Query{Policy: "p1"}},
			{"c", journal.Query{Policy: "p1", Outcome: policy.NotApplied}},
			{"", journal.Query{Policy: "p2"}},
			{"d", journal.Query{Risk: policy.HighRisk}},
			{"a", journal.Query{IP: "192.0.2.1"}},
			{"b", journal.Query{Request: "r1"}},
			{"a", journal.Query{Session: session}},
			{"b", journal.Query{Grant: made}},
			{"c", journal.Query{Token: "t1"}},
			{"b", journal.Query{User: ada, App: "mail", Kind: journal.Silent, Success: &no, Request: "r1"}},
		} {
			got := ""
			for _, e := range list(t, j, tt.q) {
				got += e.Reason
			}
			if got != tt.want {
				t.Errorf("%+v: %q, want %q", tt.q, got, tt.want)
			}
		}
	})
}

func TestPagesHaveEveryEntryOnceWhateverTheStep(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{Step: 7})
		for i := range 40 {
			clock.Add(time.Second)
			j.Add(&journal.Entry{Kind: journal.Silent, User: []directory.UserID{ada, grace}[i%2], App: directory.AppID(fmt.Sprint("app", i%10)), Error: i})
		}
		for _, limit := range []int{1, 3, 7, 8, 100} {
			for name, want := range map[string]int{"": 40, "app3": 4, "app4": 4} {
				all := list(t, j, journal.Query{App: directory.AppID(name), Limit: limit})
				if len(all) != want || !slices.IsSortedFunc(all, func(a, b journal.Entry) int { return b.Error - a.Error }) {
					t.Errorf("%q by %d: %d entries", name, limit, len(all))
				}
			}
			if all := list(t, j, journal.Query{User: ada, App: "app4", Limit: limit}); len(all) != 4 {
				t.Errorf("ada's by %d: %d entries", limit, len(all))
			}
		}
	})
}

func TestWhatDoesNotFitIsCountedAndTheLogSaysSo(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		stuck, hold := make(chan struct{}), make(chan struct{})
		first := true
		j := open(journal.Config{Room: 10, Write: func() error {
			if first {
				first = false
				close(stuck)
				<-hold
			}
			return nil
		}})
		j.Add(&journal.Entry{Kind: journal.Silent})
		<-stuck // the writer has it, and it counts still
		for range 16 {
			j.Add(&journal.Entry{Kind: journal.Silent})
		}
		if j.Lost() != 7 {
			t.Errorf("lost %d, want 7", j.Lost())
		}
		close(hold)
		all := list(t, j, journal.Query{})
		var kept, missing int64
		for _, e := range all {
			if e.Kind == journal.Gap {
				missing += e.Missing
			} else {
				kept++
			}
		}
		if kept != 10 || missing != 7 {
			t.Errorf("%d entries, %d missing, want 10 and 7", kept, missing)
		}
	})
}

func TestACleanStopWritesEverything(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{Every: time.Hour})
		for range 400 { // fewer than a batch: they wait for an hour, or for the end
			j.Add(&journal.Entry{Kind: journal.Silent, User: ada})
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j.Add(&journal.Entry{Kind: journal.Silent})
		if j.Lost() != 1 {
			t.Errorf("after the end: lost %d, want the one that came after it", j.Lost())
		}
		if all := list(t, open(journal.Config{}), journal.Query{}); len(all) != 400 {
			t.Errorf("%d entries after a clean stop, want 400", len(all))
		}
	})
}

func TestAWriteThatFailsIsTriedAgainAndNothingIsTwice(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		fails := 2
		j := open(journal.Config{Write: func() error {
			if fails--; fails >= 0 {
				return errors.New("disk full")
			}
			return nil
		}})
		j.Add(&journal.Entry{Kind: journal.Silent})
		if err := j.Flush(t.Context()); err == nil {
			t.Error("whoever waits is not told of the failure")
		}
		j.Add(&journal.Entry{Kind: journal.Silent})
		for range 100 {
			if all, _, err := j.List(t.Context(), journal.Query{Limit: 10}); err == nil {
				if len(all) != 2 || j.Lost() != 0 {
					t.Errorf("%d entries, %d lost", len(all), j.Lost())
				}
				return
			}
		}
		t.Error("never written")
	})
}

func TestAnEndThatCannotBeWrittenIsCounted(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{Every: time.Hour, Write: func() error { return errors.New("disk full") }})
		for range 3 {
			j.Add(&journal.Entry{Kind: journal.Silent})
		}
		j.Close()
		if j.Lost() != 3 {
			t.Errorf("lost %d, want 3", j.Lost())
		}
	})
}

func TestOutcomesAreCountedByDay(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{})
		s := set(t, on("p1", "MFA everywhere"), report("p2", "Block the mail"))
		since := clock.Now()
		add := func(app directory.AppID, kind journal.Kind, n int) {
			f := facts(app)
			v := s.Decide(f)
			for range n {
				j.Add(&journal.Entry{Kind: kind, Applied: j.Judged(s, f, &v)})
			}
		}
		add("mail", journal.Interactive, 2)
		add("mail", journal.Silent, 600)
		add("calendar", journal.Silent, 3)
		clock.Add(24 * time.Hour)
		add("mail", journal.Silent, 1)
		got, err := j.Results(t.Context(), "p2", since)
		if err != nil {
			t.Fatal(err)
		}
		day := since.Truncate(24 * time.Hour)
		want := []journal.Count{{day, journal.Interactive, policy.ReportFailure, 2}, {day, journal.Silent, policy.ReportFailure, 600}, {day, journal.Silent, policy.ReportNotApplied, 3},
			{day.Add(24 * time.Hour), journal.Silent, policy.ReportFailure, 1}}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got, err := j.Results(t.Context(), "p2", since.Add(24*time.Hour)); err != nil || len(got) != 1 {
			t.Errorf("from the second day: %v %v", got, err)
		}
	})
}

func TestASweepTakesWhatIsOldAndWhatOnlyThatNeeded(t *testing.T) {
	each(t, func(t *testing.T, clock *storetest.Clock, open func(journal.Config) *journal.Journal) {
		j := open(journal.Config{Keep: 48 * time.Hour})
		old, young := set(t, on("p1", "MFA everywhere")), set(t, on("p9", "Newer"))
		start := clock.Now()
		add := func(s *policy.Set, n int) {
			f := facts("mail")
			v := s.Decide(f)
			for range n {
				j.Add(&journal.Entry{Kind: journal.Silent, Applied: j.Judged(s, f, &v)})
			}
		}
		add(old, 2500)
		clock.Add(72 * time.Hour)
		add(young, 5)
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := j.Sweep(t.Context()); err != nil || n != 2500 {
			t.Errorf("swept %d, %v", n, err)
		}
		if all := list(t, j, journal.Query{}); len(all) != 5 || all[0].Applied.Policies[0].Name != "Newer" {
			t.Errorf("%d left", len(all))
		}
		if got, err := j.Results(t.Context(), "p1", start); err != nil || len(got) != 0 {
			t.Errorf("counts of swept days: %v %v", got, err)
		}
		if got, err := j.Results(t.Context(), "p9", start); err != nil || len(got) != 1 || got[0].N != 5 {
			t.Errorf("counts of kept days: %v %v", got, err)
		}
		if n, err := j.Sweep(t.Context()); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}

func TestANilJournalTakesEverything(t *testing.T) {
	var j *journal.Journal
	j.Add(&journal.Entry{})
	if j.Judged(nil, nil, nil) != nil {
		t.Error("a judgement from nowhere")
	}
	if n, err := j.Sweep(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheFileIsBesideTheDirectorysAndPrivate(t *testing.T) {
	dir := t.TempDir()
	url := journal.Beside("file:" + filepath.Join(dir, "curfew.db"))
	if url != filepath.Join(dir, "signins.db") {
		t.Errorf("beside: %s", url)
	}
	if got := journal.Beside("postgres://db/x"); got != "postgres://db/x" {
		t.Errorf("beside PostgreSQL: %s", got)
	}
	j, err := journal.Open(context.Background(), journal.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	st, err := os.Stat(url)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := journal.Open(context.Background(), journal.Config{URL: url}); err == nil || !strings.Contains(err.Error(), "Another curfew") {
		t.Errorf("a second process: %v", err)
	}
}

func TestThoseJudgedAlikeShareWhatIsSaid(t *testing.T) {
	dir := t.TempDir()
	j, err := journal.Open(context.Background(), journal.Config{URL: filepath.Join(dir, "signins.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := set(t, on("p1", "MFA everywhere"), off("p3", "Off"))
	f, g := facts("mail"), facts("calendar")
	v, w := s.Decide(f), s.Decide(g)
	a := j.Judged(s, f, &v)
	if a != j.Judged(s, f, &v) || a == j.Judged(s, g, &w) {
		t.Error("what is shared is not what was judged alike")
	}
	if len(a.Policies) != 1 || a.Status != journal.Failed || j.Judged(s, g, &w).Status != journal.NotApplied {
		t.Errorf("%+v", a)
	}
	// Whom no policy touches is told from whom none of them meant.
	spares, err := policy.Compile([]policy.Policy{on("p1", "MFA everywhere")}, policy.World{Spared: []directory.UserID{{7}}})
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[directory.UserID]int{{7}: 2, {8}: 1, {}: 1} {
		g.User = user
		v := spares.Decide(g)
		if got := j.Judged(spares, g, &v); len(got.Policies) != want || want == 2 && got.Policies[0].ID != journal.Spared || got.Status != journal.NotApplied {
			t.Errorf("%v: %+v", user, got)
		}
	}
	f.Methods = policy.Password.Set() | policy.SoftwareOTP.Set()
	if v := s.Decide(f); j.Judged(s, f, &v).Status != journal.Passed {
		t.Error("satisfied, and the log says otherwise")
	}
	if n := testing.AllocsPerRun(100, func() { v := s.Decide(f); j.Judged(s, f, &v) }); n > 0 {
		t.Errorf("%v allocations for what is known", n)
	}
	other := set(t, on("p1", "Renamed"))
	f.Methods = 0
	x := other.Decide(f)
	if got := j.Judged(other, f, &x); got.Policies[0].Name != "Renamed" {
		t.Errorf("after a change: %+v", got)
	}
}

// Policies: each is about the mail alone; on ones ask for a second factor, those
// that only report block.

func set(t testing.TB, all ...policy.Policy) *policy.Set {
	t.Helper()
	s, err := policy.Compile(all, policy.World{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func on(id, name string) policy.Policy {
	return policy.Policy{ID: id, Name: name, State: policy.On, Include: policy.Who{All: true}, Apps: policy.Apps{Include: []string{"mail"}}, Clients: policy.AllClients,
		Grant: &policy.Grant{Controls: policy.NeedMFA}}
}

func report(id, name string) policy.Policy {
	p := on(id, name)
	p.State, p.Grant = policy.ReportOnly, &policy.Grant{Block: true}
	return p
}

func off(id, name string) policy.Policy {
	p := on(id, name)
	p.State = policy.Off
	return p
}

func facts(app directory.AppID) *policy.Facts {
	now := time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC)
	return &policy.Facts{Now: now, User: ada, Client: app, Methods: policy.Password.Set(), AuthTime: now, SecondTime: now}
}
