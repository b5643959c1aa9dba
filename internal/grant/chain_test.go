package grant_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

func chain(n int) (links []grant.Link) {
	at := time.Unix(1_790_000_000, 0)
	for range n {
		links = append(links, grant.Link{Grant: directory.NewID[directory.Grant](at), App: "urn:app:1=%,|"})
	}
	return links
}

func TestChainsRoundTripAndWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for n := range cutoff.MaxChain + 1 {
		want := chain(n)
		got, err := grant.ParseChain(grant.FormatChain(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d links: %v, %v", n, got, err)
		}
	}
	good := grant.FormatChain(chain(1))
	for _, text := range []string{" ", good + " ", " " + good, good[1:], strings.TrimSuffix(good, ":urn:app:1=%,|"), strings.SplitAfter(good, ":")[0], "x:y", grant.FormatChain(chain(cutoff.MaxChain + 1))} {
		if got, err := grant.ParseChain(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestAGrantBelongsToEverythingItWasMadeFrom(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_790_000_000, 0)
	session := directory.NewID[directory.Session](at)
	root := &grant.Grant{ID: directory.NewID[directory.Grant](at), User: directory.NewID[directory.User](at), App: "web", Session: session}
	child := &grant.Grant{ID: directory.NewID[directory.Grant](at), User: root.User, App: "drive", Chain: root.Below(), Offline: true}
	last := &grant.Grant{ID: directory.NewID[directory.Grant](at), User: root.User, App: "ledger", Chain: child.Below()}
	if !root.Parent().IsZero() || child.Parent() != root.ID || last.Parent() != child.ID {
		t.Errorf("parents %s %s %s", root.Parent(), child.Parent(), last.Parent())
	}
	want := []cutoff.Link{{Grant: child.ID.String(), App: "drive"}, {Grant: root.ID.String(), App: "web"}}
	if b := last.Belongs(); !reflect.DeepEqual(b.Chain, want) || b.Grant != last.ID.String() || b.App != "ledger" || b.Session != "" {
		t.Errorf("belongs to %+v", b)
	}
	var set cutoff.Set
	set.Merge(cutoff.Line{Pos: 5, Cuts: []cutoff.Cutoff{{Scope: cutoff.Grant, ID: root.ID.String(), Reach: cutoff.Everything}}})
	for name, g := range map[string]*grant.Grant{"root": root, "child": child, "last": last} {
		if o := g.Owner(); !set.Dead(&o, 4, cutoff.Token) {
			t.Errorf("the %s outlives its root", name)
		}
	}
}

func TestAGrantEndsWithItsSessionUnlessItIsOfflineItself(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_790_000_000, 0)
	session := directory.NewID[directory.Session](at)
	above := chain(1)
	for name, c := range map[string]struct {
		g    grant.Grant
		ends bool
	}{
		"given in the session":                      {grant.Grant{Session: session}, true},
		"given with offline_access":                 {grant.Grant{Session: session, Offline: true}, false},
		"made from one that ends with it":           {grant.Grant{Session: session, Chain: above}, true},
		"made from one that ends with it, offline":  {grant.Grant{Session: session, Offline: true, Chain: above}, true},
		"made from one with offline_access":         {grant.Grant{Chain: above}, false},
		"made from one with offline_access, itself": {grant.Grant{Offline: true, Chain: above}, false},
	} {
		if got := c.g.EndsWith() == session; got != c.ends {
			t.Errorf("%s: ends with the session: %v", name, got)
		}
	}
}
