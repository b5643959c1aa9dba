package grant_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

func TestModeOfAGrant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		g    grant.Grant
		app  directory.RefreshMode
		want grant.Mode
	}{
		"nothing said":                  {grant.Grant{}, "", grant.Rotating},
		"rotate":                        {grant.Grant{}, directory.RefreshRotate, grant.Rotating},
		"rotate, although it has a key": {grant.Grant{CNF: "jkt:x"}, directory.RefreshRotate, grant.Rotating},
		"strict":                        {grant.Grant{}, directory.RefreshStrict, grant.Strict},
		"bound to a key":                {grant.Grant{CNF: "jkt:x"}, directory.RefreshBound, grant.Still},
		"bound to nothing":              {grant.Grant{}, directory.RefreshBound, grant.Rotating},
		"made from another":             {grant.Grant{Chain: chain(1)}, directory.RefreshStrict, grant.Still},
		"an unknown mode":               {grant.Grant{CNF: "jkt:x"}, "loose", grant.Rotating},
	} {
		if got := c.g.Mode(c.app); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestStrictTakesEverySecondUseForReuse(t *testing.T) {
	t.Parallel()
	l, now := grant.DefaultLifetimes(), time.Unix(1_790_000_000, 0)
	s := grant.State{Generation: 1}
	use := grant.Use{Generation: 1, Resource: "api://mail", Arrived: now, Now: now, Mode: grant.Strict}
	if got, _ := s.Rotate(use, l); got != grant.Rotated || s.Generation != 2 {
		t.Fatalf("first use: %d, generation %d", got, s.Generation)
	}
	before := s
	if got, _ := s.Rotate(use, l); got != grant.Reused || !reflect.DeepEqual(s, before) {
		t.Errorf("the same request again, at once: %d", got)
	}
	use.Mode = grant.Rotating // what the application was changed to decides
	if got, _ := s.Rotate(use, l); got != grant.Retried {
		t.Errorf("after the application went back to rotating: %d", got)
	}
}

func TestStillKeepsTheTokenAndFindsOldOnes(t *testing.T) {
	t.Parallel()
	l, now := grant.DefaultLifetimes(), time.Unix(1_790_000_000, 0)
	s := grant.State{Generation: 1}
	use := func(generation int64, mode grant.Mode) grant.Outcome {
		now = now.Add(time.Minute)
		o, alarm := s.Rotate(grant.Use{Generation: generation, Resource: "api://mail", Arrived: now, Now: now, Mode: mode}, l)
		if alarm != 0 {
			t.Errorf("alarm %s", alarm)
		}
		return o
	}
	use(1, grant.Rotating)
	use(2, grant.Rotating)
	for range 5 {
		before := s
		if got := use(3, grant.Still); got != grant.Renewed || !reflect.DeepEqual(s, before) {
			t.Fatalf("outcome %d, state %+v", got, s)
		}
	}
	if got := use(1, grant.Still); got != grant.Reused {
		t.Errorf("a token from before the application was bound: %d", got)
	}
	if got := use(4, grant.Still); got != grant.Ahead {
		t.Errorf("a token newer than its row: %d", got)
	}
}
