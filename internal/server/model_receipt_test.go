package server

import (
	"context"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/store"
)

// mReceipt is a cut that gave a receipt.
type mReceipt struct {
	id     string
	pos    cutoff.Pos
	killed []*mToken // alive before, dead after
	due    []*mGuard // those that had to confirm
	as     []string  // their process ids at the cut
}

// revoked takes the result of a revocation into the model: change is what it
// means there, and concerns says whose unexpired tokens the receipt must list,
// dead before or not.
func (m *machine) revoked(t *rapid.T, r revoke.Result, err error, concerns func(*mToken) bool, change func()) {
	t.Helper()
	m.must(t, err)
	var was []*mToken
	for _, x := range m.tokens {
		if m.tokenAlive(x) {
			was = append(was, x)
		}
	}
	change()
	if r.Receipt == nil {
		if !r.Already {
			t.Fatal("no receipt")
		}
		return
	}
	k := &mReceipt{id: r.Receipt.ID, pos: r.Receipt.Pos}
	now := m.Clock.Now()
	for _, x := range was {
		if !m.tokenAlive(x) && now.Before(x.expires) {
			k.killed = append(k.killed, x)
		}
	}
	for _, x := range m.tokens {
		if !x.lost && now.Before(x.expires) && (slices.Contains(k.killed, x) || concerns != nil && concerns(x)) && !listed(r.Receipt.Rest, x) {
			t.Fatalf("P4: receipt %s does not list a token for %s until %s: %+v", k.id, x.resource, x.expires, r.Receipt.Rest)
		}
	}
	for _, g := range m.guards {
		// One whose registration was lost is not known until it asks; its own
		// limit has closed it by then, or soon.
		if !g.process.lost {
			k.due, k.as = append(k.due, g), append(k.as, g.process.id)
		}
	}
	if m.receipts = append(m.receipts, k); len(m.receipts) > 2 {
		m.receipts = m.receipts[1:]
	}
}

// listed reports whether what was counted after a cut contains a token.
func listed(rest *store.Rest, x *mToken) bool {
	return rest.More > 0 && !rest.Last.Before(x.expires) || slices.ContainsFunc(rest.Tokens, func(o store.OutstandingAt) bool {
		return o.Resource == x.resource && !o.Expires.Before(x.expires)
	})
}

// checkReceipts is P4, for the newest receipts, on one node after the other.
func (m *machine) checkReceipts(t *rapid.T) {
	t.Helper()
	n := m.nodes[m.step%len(m.nodes)]
	for _, k := range m.receipts {
		v := m.view(t, n, k)
		for i, g := range k.due {
			m.checkRow(t, n, k, v, g, k.as[i])
		}
		for _, x := range k.killed {
			m.checkKilled(t, k, v, x)
		}
	}
}

func (m *machine) view(t *rapid.T, n *node, k *mReceipt) *relay.ReceiptView {
	t.Helper()
	v, err := n.relay.Receipt(context.Background(), operator, k.id)
	m.must(t, err)
	return v
}

func rowOf(v *relay.ReceiptView, process string) *relay.Row {
	for i := range v.Rows {
		if v.Rows[i].Process == process {
			return &v.Rows[i]
		}
	}
	return nil
}

// checkRow: "confirmed" stands for exactly those processes that applied the line
// and said so.
func (m *machine) checkRow(t *rapid.T, n *node, k *mReceipt, v *relay.ReceiptView, g *mGuard, id string) {
	t.Helper()
	row := rowOf(v, id)
	if row == nil {
		t.Fatalf("P4: receipt %s says nothing of guard %s", k.id, g.name)
	}
	p := g.process
	if row.State == relay.Confirmed && (g.applied < k.pos || p.id == id && p.most < k.pos) {
		t.Fatalf("P4: receipt %s of line %d says that guard %s confirmed; it has applied %d and acknowledged %d at most", k.id, k.pos, g.name, g.applied, p.most)
	}
	if p.id == id && !p.gone && p.heard[n.index] >= k.pos && row.State != relay.Confirmed {
		// A question that is held may just be being taken in.
		until(t, "a confirmation that node "+n.cfg.Listen+" has heard", func() bool { return rowOf(m.view(t, n, k), id).State == relay.Confirmed })
	}
}

// checkKilled: an access token that the cut killed is refused by every guard, or
// its end is on the receipt.
func (m *machine) checkKilled(t *rapid.T, k *mReceipt, v *relay.ReceiptView, x *mToken) {
	t.Helper()
	now := m.Clock.Now()
	for _, g := range m.guards {
		if _, err := g.Check(x.text); g.resource != x.resource || g.process.lost || err != nil {
			continue
		}
		row := rowOf(v, g.process.id)
		if row == nil || row.State != relay.Waiting && row.State != relay.Closes || !row.At.After(now) {
			t.Fatalf("P4: guard %s accepts what was killed, and receipt %s says of it %+v", g.name, k.id, row)
		}
	}
	guarded := slices.ContainsFunc(v.Rows, func(r relay.Row) bool { return r.Process != "" && r.Resource == x.resource && r.State != relay.Gone })
	ends := func(r relay.Row) bool {
		return r.Process == "" && r.Resource == x.resource && (r.State == relay.Lives || r.State == relay.Over) && !r.Latest.Before(x.expires)
	}
	if !guarded && x.resource != directory.OwnAPI && now.Before(x.expires.Add(-time.Second)) && !slices.ContainsFunc(v.Rows, ends) {
		t.Fatalf("P4: a token for %s lives until %s, and receipt %s does not say so: %+v", x.resource, x.expires, k.id, v.Rows)
	}
}
