package cutoff

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const (
	ada   = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
	grace = "0b3c1c2e-7a41-4e57-9c7e-3a1f0a6f1d22"
	mail  = "mail"
	sess  = "c1a5b0de-1111-4222-8333-444455556666"
	fam   = "d2a5b0de-1111-4222-8333-444455556666"
	dev   = "e3a5b0de-1111-4222-8333-444455556666"
)

var adaInMail = Belongs{User: ada, Session: sess, Grant: fam, App: mail, Device: dev}

func line(p Pos, cuts ...Cutoff) Line { return Line{Pos: p, Cuts: cuts} }

func TestCutoffCoversWhatBelongsToIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		cut             Cutoff
		browser, tokens Pos // what Latest must say for ada's artefact
		judge           Pos // what Judge must
	}{
		{"directory", Cutoff{Scope: All, Reach: Everything}, 7, 7, 0},
		{"directory, tokens only", Cutoff{Scope: All, Reach: Tokens}, 0, 7, 0},
		{"user", Cutoff{User, ada, Everything}, 7, 7, 0},
		{"user, tokens only", Cutoff{User, ada, Tokens}, 0, 7, 0},
		{"user in capitals", Cutoff{User, "6F9619FF-8B86-4D01-B42D-00CF4FC964FF", Everything}, 7, 7, 0},
		{"another user", Cutoff{User, grace, Everything}, 0, 0, 0},
		{"session", Cutoff{Session, sess, Everything}, 7, 7, 0},
		{"grant", Cutoff{Grant, fam, Tokens}, 0, 7, 0},
		{"app", Cutoff{App, mail, Everything}, 7, 7, 0},
		{"app in capitals is another app", Cutoff{App, "Mail", Everything}, 0, 0, 0},
		{"user in app", Cutoff{UserApp, UserAppID(ada, mail), Everything}, 7, 7, 0},
		{"another user in app", Cutoff{UserApp, UserAppID(grace, mail), Everything}, 0, 0, 0},
		{"device", Cutoff{Device, dev, Everything}, 7, 7, 0},
		{"the user's id as a session", Cutoff{Session, ada, Everything}, 0, 0, 0},
		{"an invalid scope closes everything", Cutoff{0, ada, Everything}, 7, 7, 0},
		{"an unknown scope closes everything", Cutoff{scopes + 3, ada, Everything}, 7, 7, 0},
		{"an invalid reach reaches everything", Cutoff{User, ada, 0}, 7, 7, 0},
		{"directory, to be judged", Cutoff{Scope: All, Reach: Judge}, 0, 0, 7},
		{"user, to be judged", Cutoff{User, ada, Judge}, 0, 0, 7},
		{"another user, to be judged", Cutoff{User, grace, Judge}, 0, 0, 0},
		{"device, to be judged", Cutoff{Device, dev, Judge}, 0, 0, 7},
		{"user in app, to be judged", Cutoff{UserApp, UserAppID(ada, mail), Judge}, 0, 0, 7},
		{"an unknown scope puts everything in doubt", Cutoff{scopes + 3, ada, Judge}, 0, 0, 7},
		{"an unknown reach reaches everything", Cutoff{User, ada, reaches}, 7, 7, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s Set
			if !s.Merge(line(7, c.cut)) {
				t.Fatal("first merge changed nothing")
			}
			o := NewOwner(adaInMail)
			if got := s.Latest(&o, Browser); got != c.browser {
				t.Errorf("browser: latest %d, want %d", got, c.browser)
			}
			if got := s.Latest(&o, Token); got != c.tokens {
				t.Errorf("token: latest %d, want %d", got, c.tokens)
			}
			if got := s.Judge(&o); got != c.judge {
				t.Errorf("judge: %d, want %d", got, c.judge)
			}
			for born := Pos(5); born <= 9; born++ {
				if got, want := s.Dead(&o, born, Token), born < c.tokens; got != want {
					t.Errorf("born %d: dead %v, want %v", born, got, want)
				}
			}
		})
	}
}

// What an artefact was made from, and whoever held that, ends it too.
func TestCutoffCoversWhatWasMadeFromWhatItEnds(t *testing.T) {
	t.Parallel()
	b := Belongs{User: ada, Grant: "g3", App: "ledger", Chain: []Link{{Grant: "g2", App: "drive"}, {Grant: fam, App: mail}}}
	for _, c := range []struct {
		name   string
		cut    Cutoff
		covers bool
	}{
		{"its own grant", Cutoff{Grant, "g3", Everything}, true},
		{"the grant it was made from", Cutoff{Grant, "g2", Everything}, true},
		{"the grant at the root", Cutoff{Grant, fam, Tokens}, true},
		{"another grant", Cutoff{Grant, sess, Everything}, false},
		{"its own application", Cutoff{App, "ledger", Everything}, true},
		{"an application on the way", Cutoff{App, "drive", Tokens}, true},
		{"the application at the root", Cutoff{App, mail, Everything}, true},
		{"another application", Cutoff{App, "calendar", Everything}, false},
		{"the user in an application on the way", Cutoff{UserApp, UserAppID(ada, "drive"), Everything}, true},
		{"the user in the application at the root", Cutoff{UserApp, UserAppID(ada, mail), Tokens}, true},
		{"another user there", Cutoff{UserApp, UserAppID(grace, mail), Everything}, false},
		{"an application with the id of a grant", Cutoff{App, fam, Everything}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s Set
			s.Merge(line(7, c.cut))
			o := NewOwner(b)
			if got := s.Dead(&o, 6, Token); got != c.covers {
				t.Errorf("dead %v, want %v", got, c.covers)
			}
			if s.Dead(&o, 7, Token) {
				t.Error("what is born at the cutoff is dead")
			}
		})
	}
}

func TestMergeKeepsTheLargerPosition(t *testing.T) {
	t.Parallel()
	var s Set
	o := NewOwner(adaInMail)
	cut := Cutoff{User, ada, Everything}
	for _, c := range []struct {
		pos     Pos
		changed bool
		latest  Pos
	}{{5, true, 5}, {5, false, 5}, {3, false, 5}, {8, true, 8}} {
		if got := s.Merge(line(c.pos, cut)); got != c.changed {
			t.Errorf("merge at %d: changed %v, want %v", c.pos, got, c.changed)
		}
		if got := s.Latest(&o, Token); got != c.latest {
			t.Errorf("after %d: latest %d, want %d", c.pos, got, c.latest)
		}
	}
	if s.Merge(line(9)) {
		t.Error("a line without cutoffs changed the set")
	}
	s.Merge(line(20, Cutoff{User, ada, Judge}, Cutoff{Scope: All, Reach: Judge})) // no matter how late: it ends nothing
	// Trace 7: a role change after a revoke does not shorten the revoke, and
	// does not reach further than itself.
	s.Merge(line(9, Cutoff{User, ada, Tokens}))
	if b, k := s.Latest(&o, Browser), s.Latest(&o, Token); b != 8 || k != 9 {
		t.Errorf("browser %d token %d, want 8 and 9", b, k)
	}
}

func TestForgetDropsOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	var s Set
	s.Forget(User, ada) // of an empty set: nothing happens
	s.Merge(line(4, Cutoff{User, ada, Everything}, Cutoff{User, ada, Tokens}, Cutoff{User, grace, Tokens}, Cutoff{App, mail, Everything}))
	s.Merge(line(5, Cutoff{User, ada, Judge}, Cutoff{User, grace, Judge}, Cutoff{Device, dev, Judge}))
	if s.Len() != 4 {
		t.Fatalf("len %d, want 4", s.Len())
	}
	s.Forget(User, ada)
	s.Forget(App, "drive")
	if s.Len() != 3 {
		t.Errorf("len %d after forgetting one, want 3", s.Len())
	}
	if a, g := NewOwner(Belongs{User: ada}), NewOwner(Belongs{User: grace}); s.Judge(&a) != 0 || s.Judge(&g) != 5 {
		t.Error("forgot the wrong doubt")
	}
	a, g := NewOwner(Belongs{User: ada}), NewOwner(Belongs{User: grace})
	if s.Latest(&a, Token) != 0 || s.Latest(&g, Token) != 4 {
		t.Error("forgot the wrong one")
	}
}

func TestEmptyOwnerBelongsToTheDirectoryOnly(t *testing.T) {
	t.Parallel()
	var s Set
	var o Owner
	s.Merge(line(4, Cutoff{User, ada, Everything}))
	if s.Latest(&o, Token) != 0 {
		t.Error("a user's cutoff covers an artefact of nobody")
	}
	s.Merge(line(5, Cutoff{Scope: All, Reach: Tokens}))
	if !s.Dead(&o, 0, Token) || s.Dead(&o, 0, Browser) {
		t.Error("directory-wide cutoff of tokens must cover exactly tokens")
	}
}

// A string that is nearly a UUID must not share a key with the UUID.
func TestKeysOfNearUUIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[key]string{}
	for _, id := range []string{ada, ada[:35], ada + "0", "6f9619ff08b86-4d01-b42d-00cf4fc964ff", "zf9619ff-8b86-4d01-b42d-00cf4fc964ff", "6f9619ff-8b86-4d01-b42d000cf4fc964ff", ""} {
		k := keyOf(User, id)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q share a key", id, other)
		}
		seen[k] = id
	}
	if keyOf(App, ada) == keyOf(User, ada) {
		t.Error("a client_id that looks like a UUID is read as one")
	}
}

// The properties. A model of three lines (the maximum over all covering lines)
// says what a set must answer, in whatever order and however often lines come.

var drawCut = rapid.Custom(func(t *rapid.T) Cutoff {
	sc := Scope(rapid.IntRange(1, int(scopes)-1).Draw(t, "scope"))
	id := ""
	switch {
	case sc == UserApp:
		id = UserAppID(rapid.SampledFrom([]string{ada, grace}).Draw(t, "user"), rapid.SampledFrom([]string{mail, "drive"}).Draw(t, "app"))
	case sc != All:
		id = rapid.SampledFrom([]string{ada, grace, mail, sess, fam, dev, "drive"}).Draw(t, "id")
	}
	return Cutoff{sc, id, Reach(rapid.IntRange(1, int(reaches)-1).Draw(t, "reach"))}
})

var drawLines = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Line {
	return Line{Pos(rapid.IntRange(1, 40).Draw(t, "pos")), rapid.SliceOfN(drawCut, 0, 3).Draw(t, "cuts")}
}), 0, 12)

// doubt is a kind of question beside the two: what Judge answers.
const doubt = Kind(2)

func (s *Set) answer(o *Owner, k Kind) Pos {
	if k == doubt {
		return s.Judge(o)
	}
	return s.Latest(o, k)
}

func covers(c Cutoff, b Belongs, k Kind) bool {
	if c.Reach == Tokens && k != Token || (c.Reach == Judge) != (k == doubt) {
		return false
	}
	switch c.Scope {
	case All:
		return true
	case User:
		return c.ID == b.User
	case Session:
		return c.ID == b.Session
	case Grant:
		return c.ID == b.Grant || slices.ContainsFunc(b.Chain, func(l Link) bool { return c.ID == l.Grant })
	case App:
		return c.ID == b.App || slices.ContainsFunc(b.Chain, func(l Link) bool { return c.ID == l.App })
	case UserApp:
		return c.ID == UserAppID(b.User, b.App) || slices.ContainsFunc(b.Chain, func(l Link) bool { return c.ID == UserAppID(b.User, l.App) })
	}
	return c.ID == b.Device
}

func model(ls []Line, b Belongs, k Kind) (p Pos) {
	for _, l := range ls {
		for _, c := range l.Cuts {
			if covers(c, b, k) {
				p = max(p, l.Pos)
			}
		}
	}
	return p
}

func setOf(ls []Line) *Set {
	s := new(Set)
	for _, l := range ls {
		s.Merge(l)
	}
	return s
}

func TestSetAgreesWithTheModelInAnyOrder(t *testing.T) {
	t.Parallel()
	artefacts := []Belongs{adaInMail, {User: ada, App: "drive"}, {User: grace, Session: sess, App: mail, Grant: grace}, {App: mail}, {},
		{User: grace, App: "drive", Grant: dev, Chain: []Link{{Grant: fam, App: mail}}}}
	rapid.Check(t, func(t *rapid.T) {
		ls := drawLines.Draw(t, "lines")
		shuffled := rapid.Permutation(ls).Draw(t, "order")
		s, m, twice := setOf(ls), setOf(shuffled), setOf(ls)
		for _, l := range ls {
			if twice.Merge(l) {
				t.Fatalf("merging %v again changed the set", l)
			}
		}
		for i, b := range artefacts {
			o := NewOwner(b)
			for _, k := range []Kind{Browser, Token, doubt} {
				want := model(ls, b, k)
				if got := s.answer(&o, k); got != want {
					t.Fatalf("artefact %d kind %d: %d, model says %d", i, k, got, want)
				}
				if m.answer(&o, k) != want || twice.answer(&o, k) != want {
					t.Fatalf("order or repetition matters for artefact %d", i)
				}
			}
			if s.Latest(&o, Token) < s.Latest(&o, Browser) {
				t.Fatal("a cutoff that reaches everything must reach tokens")
			}
		}
		if s.Len() != m.Len() {
			t.Fatalf("len depends on order: %d and %d", s.Len(), m.Len())
		}
	})
}

func TestMergeNeverLowersAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		o := NewOwner(adaInMail)
		for _, l := range drawLines.Draw(t, "lines") {
			b, k, j, n := s.Latest(&o, Browser), s.Latest(&o, Token), s.Judge(&o), s.Len()
			changed := s.Merge(l)
			if s.Latest(&o, Browser) < b || s.Latest(&o, Token) < k || s.Judge(&o) < j || s.Len() < n {
				t.Fatalf("merging %v un-cut something", l)
			}
			if !changed && (s.Latest(&o, Browser) != b || s.Latest(&o, Token) != k || s.Judge(&o) != j || s.Len() != n) {
				t.Fatal("merge changed the set and said it had not")
			}
		}
	})
}

func TestLatestAllocatesNothing(t *testing.T) {
	s := setOf([]Line{line(3, Cutoff{User, ada, Everything}, Cutoff{App, mail, Tokens})})
	chained := adaInMail
	chained.Chain = []Link{{Grant: sess, App: "drive"}, {Grant: dev, App: "notes"}}
	for _, b := range []Belongs{adaInMail, chained} {
		o := NewOwner(b)
		if n := testing.AllocsPerRun(100, func() { s.Latest(&o, Token); s.Judge(&o) }); n != 0 {
			t.Errorf("latest allocates %v times", n)
		}
	}
}

func userID(i int) string {
	return fmt.Sprintf("%08x-8b86-4d01-b42d-%012x", uint32(i)*2654435761, i)
}

func million(reach Reach) *Set {
	s := new(Set)
	for i := range 1_000_000 {
		s.Merge(Line{Pos(i + 1), []Cutoff{{User, userID(i), reach}}})
	}
	return s
}

// BenchmarkMemoryOfAMillionCutoffs reports the heap that a set with 1,000,000
// user cutoffs of one reach holds. The goal is 64 MiB (DESIGN §10).
func BenchmarkMemoryOfAMillionCutoffs(b *testing.B) {
	for _, r := range []Reach{Everything, Judge} {
		b.Run(r.String(), func(b *testing.B) {
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				s := million(r)
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		})
	}
}

func BenchmarkLatest(b *testing.B) {
	owners := make([]Owner, 4096)
	for i := range owners {
		owners[i] = NewOwner(Belongs{User: userID(i * 200), Session: sess, Grant: fam, App: mail, Device: dev})
	}
	for _, n := range []string{"empty", "million"} {
		b.Run(n, func(b *testing.B) {
			s := new(Set)
			if n == "million" {
				s = million(Everything)
				s.Merge(line(5, Cutoff{App, "drive", Tokens}, Cutoff{Session, dev, Everything}, Cutoff{Grant, dev, Tokens}))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Latest(&owners[i&4095], Token)
				i++
			}
		})
	}
}
