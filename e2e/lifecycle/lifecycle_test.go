package lifecycle_test

import (
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// elsewhere are the rows that have a test of their own, because they are about the
// whole directory or need more than one step.
var elsewhere = map[standing.Event]func(*testing.T){
	standing.EveryoneRevoked: TestWhatEndsForEverybody,
	standing.KeysTimed:       TestWhatEndsForEverybody,
	standing.KeyStolen:       TestWhatEndsForEverybody,
	standing.SettingChanged:  TestChangingSettingsEndsNothing,
	standing.HistoryGone:     TestWhatEndsForEverybody,
	standing.UserEnabled:     TestEnablingBringsNothingBack,
}

// unreachable are the rows that no surface can bring about yet, or only with a
// second identity provider beside, and what tests them instead.
var unreachable = map[standing.Event]string{
	standing.IdentityReplaced: "who takes an identity away disables its application as well, which is the row of that; the row diff alone is tested in store",
	standing.RiskChanged:      "it ends nothing: TestARiskThatChangesPutsInDoubt in internal/store/risks, on both engines",
	standing.ProviderGone:     "TestAProviderDisabledEndsWhatCameThroughIt in internal/server, on both engines",
	standing.UserUnlinked:     "the same test",
	standing.LoggedOutThere:   "TestBackChannelLogoutFromUpstreamIsHonoured in internal/server, on both engines",
	standing.ProviderAltered:  "it ends nothing: TestAProviderDisabledEndsWhatCameThroughIt enables one again and revives nothing",
	standing.Concerned:        "it ends nothing by itself: TestWhoMovesIntoOrOutOfAPolicyIsJudgedAgainOrEnded in internal/store, on both engines",
	standing.UserLinked:       "it ends nothing: TestAPersonLinksAnAccountWithTwoFreshProofs",
}

func TestEveryRowOfTheTableIsExpectedAndEveryPathNamed(t *testing.T) {
	seen := map[standing.Event]bool{}
	for _, e := range grid() {
		seen[e.row] = true
		has := map[string]bool{}
		for _, p := range e.paths {
			has[p.surface] = true
		}
		for _, s := range surfaces {
			if why := e.lacks[s]; has[s] == (why != "") {
				t.Errorf("%s: by %s there is a way (%v) or a reason why there is none (%q), and not both", e.name(), s, has[s], why)
			}
		}
		for _, a := range e.dead {
			if !slices.Contains(artefacts, a) {
				t.Errorf("%s ends %q, which nobody knows", e.name(), a)
			}
		}
	}
	for _, r := range standing.Table {
		n := 0
		for _, known := range []bool{seen[r.Event], elsewhere[r.Event] != nil, unreachable[r.Event] != ""} {
			if known {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is to be expected in one place: in the grid, elsewhere, or nowhere with a reason. It is in %d", r.Event, n)
		}
	}
}

func TestWhatEndsWhat(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, "")
		for _, e := range grid() {
			for _, p := range e.paths {
				t.Run(e.name()+"/"+p.surface+": "+p.what, func(t *testing.T) {
					t.Parallel()
					w.cells(t, e, p)
				})
			}
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, storetest.Postgres(t))
		for _, e := range grid() {
			t.Run(e.name(), func(t *testing.T) {
				t.Parallel()
				w.cells(t, e, e.paths[0])
			})
		}
	})
}

// cells lets a life begin, lets the event happen, and uses everything.
func (w *world) cells(t *testing.T, e event, p path) {
	l := w.live(t, e.prepare)
	p.do(t, l)
	w.heard(t)
	l.check(t, func(a artefact) bool { return !slices.Contains(e.dead, a) || slices.Contains(p.spared, a) })
}

// check uses everything once.
func (l *life) check(t *testing.T, lives func(artefact) bool) {
	t.Helper()
	for _, a := range artefacts {
		t.Run(string(a), func(t *testing.T) {
			switch o := l.use(t, a); {
			case o.alive && !lives(a):
				t.Errorf("%s still works", a)
			case !o.alive && lives(a):
				t.Errorf("%s does not work any more: %s", a, o.why)
			}
		})
	}
}
