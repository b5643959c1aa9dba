package guard

import (
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/jose"
)

// provenance is what a token says about its chain before anybody has checked
// that it is one.
type provenance struct {
	gids    []string // of the grants above, nearest first
	actors  []string // client ids: who acts, then who acted before
	claimed bool     // one of the claims is there
}

// readActors reads an act claim: who acts, and inside it who acted before. The
// reader's own limit of depth ends what goes on for too long.
func readActors(r *jose.Reader) (actors []string, err error) {
	var sub string
	var before []string
	err = r.Object(func(name string) (err error) {
		r.Space()
		switch name {
		case "sub":
			sub, err = r.String()
		case "act":
			before, err = readActors(r)
		default:
			err = r.Skip()
		}
		return err
	})
	return append([]string{sub}, before...), err
}

// links returns the chain of a token of this client. What is not exactly one is
// an error: whatever this guard failed to read, a cutoff would fail to find.
func (p *provenance) links(c *Claims) ([]cutoff.Link, error) {
	if !p.claimed {
		return nil, nil
	}
	n := len(p.gids)
	if n == 0 || n > cutoff.MaxChain || len(p.actors) != n+1 || p.actors[0] != c.ClientID || c.AppOnly ||
		slices.Contains(p.gids, "") || slices.Contains(p.actors, "") {
		return nil, errChain
	}
	chain := make([]cutoff.Link, n)
	for i := range chain {
		chain[i] = cutoff.Link{Grant: p.gids[i], App: p.actors[i+1]}
	}
	return chain, nil
}
