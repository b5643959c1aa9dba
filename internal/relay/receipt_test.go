package relay

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

func TestEveryViewRefusesAnActorWithoutPower(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		c := h.cut()
		mallory := directory.Actor{User: directory.NewID[directory.User](start), Name: "mallory@contoso.example"}
		calls := map[string]func(directory.Actor) error{
			"Receipt":      func(a directory.Actor) error { _, err := h.s.Receipt(t.Context(), a, c.Receipt); return err },
			"Receipt none": func(a directory.Actor) error { _, err := h.s.Receipt(t.Context(), a, "rc_none"); return err },
			"Receipts":     func(a directory.Actor) error { _, err := h.s.Receipts(t.Context(), a, "", 0, 10); return err },
			"Receipts of": func(a directory.Actor) error {
				_, err := h.s.Receipts(t.Context(), a, h.ada.String(), 0, 10)
				return err
			},
			"Exposure": func(a directory.Actor) error { _, err := h.s.Exposure(t.Context(), a, h.ada); return err },
			"Guards":   func(a directory.Actor) error { _, err := h.s.Guards(t.Context(), a); return err },
			"Ledger":   func(a directory.Actor) error { _, err := h.s.Ledger(t.Context(), a, 0, 10); return err },
			"Overview": func(a directory.Actor) error { _, err := h.s.Overview(t.Context(), a); return err },
		}
		for name, call := range calls {
			if err := call(mallory); !fault.Is(err, fault.Denied) {
				t.Errorf("%s: %v, want denied", name, err)
			}
			if err := call(directory.Actor{}); !fault.Is(err, fault.Denied) {
				t.Errorf("%s by nobody: %v, want denied", name, err)
			}
			err := call(h.admin)
			if name == "Receipt none" {
				wantKind(t, err, fault.NotFound)
			} else if err != nil {
				t.Errorf("%s by an administrator: %v", name, err)
			}
		}
		ada := directory.Actor{User: h.ada}
		for _, own := range []string{"Receipt", "Receipts of", "Exposure"} {
			if err := calls[own](ada); err != nil {
				t.Errorf("%s about oneself: %v", own, err)
			}
		}
	})
}

func TestReceiptListsWhatNobodyGuardsUntilItEnds(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, cursor := h.guard("mail-1", mail)
		ends := start.Add(46 * time.Minute)
		c := h.cutWith([]store.OutstandingAt{
			{Resource: mail, App: "mail", Count: 2, Expires: start.Add(50 * time.Minute)},
			{Resource: legacy, App: "legacy", Count: 1, Expires: ends},
			{Resource: legacy, App: "other", Count: 1, Expires: ends.Add(-time.Minute)},
		})
		h.ask(p, h.ask(p, cursor).Cursor)
		v := h.receipt(c)
		if !v.Complete || v.Title != TitleCut || v.Tokens != 4 || len(v.Left) != 1 || !v.OverAt.Equal(ends.Add(Leeway)) || !v.OverSince.IsZero() {
			t.Fatalf("every guard confirmed, Legacy lives: %+v", v)
		}
		if l := v.Left[0]; l.State != Lives || l.Resource != legacy || l.Tokens != 2 || !l.At.Equal(ends) || !l.Latest.Equal(ends.Add(Leeway)) {
			t.Errorf("what is left: %+v", l)
		}
		unknown := map[directory.AppID]bool{}
		for _, r := range v.Rows {
			if r.State == Unknown {
				unknown[r.App] = r.Why != ""
			}
		}
		if len(unknown) != 3 || !unknown["legacy"] {
			t.Errorf("applications' own sessions are unknown, each with the reason: %v", unknown)
		}
		h.clock.move(46*time.Minute + time.Second)
		if v := h.receipt(c); v.Title == TitleOver {
			t.Error("over before the leeway of a verifier is over")
		}
		h.clock.move(5 * time.Minute)
		if v := h.receipt(c); v.Title != TitleOver || !v.OverSince.Equal(ends.Add(Leeway)) || len(v.Left) != 0 {
			t.Errorf("over: %+v", v)
		}
	})
}

func TestAResourceWhoseGuardsHaveLeftIsNotGuarded(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, _ := h.guard("mail-1", mail)
		q, _ := h.guard("drive-1", drive)
		ends := start.Add(3 * time.Hour)
		c := h.cutWith([]store.OutstandingAt{{Resource: mail, App: "mail", Count: 1, Expires: ends}, {Resource: drive, App: "mail", Count: 1, Expires: ends}})
		if err := h.s.Goodbye(t.Context(), h.app, p); err != nil {
			t.Fatal(err)
		}
		v := h.receipt(c)
		if r := rowOf(t, v, p); r.State != Gone || v.Guards != 1 {
			t.Errorf("after goodbye: %+v, guards %d", r, v.Guards)
		}
		if len(v.Left) != 2 || v.Left[1].State != Lives || v.Left[1].Resource != mail {
			t.Errorf("left after goodbye: %+v", v.Left)
		}
		_, err := h.s.Ask(t.Context(), h.app, Ask{Process: p})
		wantKind(t, err, fault.NotFound)
		// A new process takes over: the tokens are its business, once it has the cut.
		later, cursor := h.guard("mail-2", mail)
		if r := rowOf(t, h.receipt(c), later); r.State != Waiting {
			t.Errorf("a guard that came later, before it acknowledged: %+v", r)
		}
		h.ask(later, cursor)
		v = h.receipt(c)
		if r := rowOf(t, v, later); r.State != Confirmed || !r.Bound || len(v.Left) != 1 {
			t.Errorf("a guard that came later: %+v, left %+v", r, v.Left)
		}
		if err := h.s.Goodbye(t.Context(), h.app, later); err != nil {
			t.Fatal(err)
		}
		// Drive's only guard falls silent and is forgotten in the end.
		slack := time.Duration(0)
		if h.db.Postgres() {
			slack = foreignSlack
		}
		h.clock.move(10*time.Second + ForgetAfter + slack)
		if r := rowOf(t, h.receipt(c), q); r.State != Closed {
			t.Errorf("silent for an hour: %+v", r)
		}
		h.clock.move(time.Second)
		v = h.receipt(c)
		if len(v.Left) != 2 || v.Left[0].Resource != drive || v.Left[0].State != Lives {
			t.Errorf("forgotten: %+v", v.Left)
		}
	})
}

func TestConfirmationsOutliveTheNodeThatHeardThem(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, cursor := h.guard("mail-1", mail)
		c := h.cut()
		a := h.ask(p, cursor)
		h.clock.move(17 * time.Millisecond)
		h.ask(p, a.Cursor)
		if err := h.s.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := &Service{DB: h.db, Secret: h.s.Secret, Now: h.clock.now}
		v, err := other.Receipt(t.Context(), h.admin, c.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if r := rowOf(t, v, p); r.State != Confirmed || r.After != 17*time.Millisecond || r.Bound || r.Ledger != c.Pos {
			t.Errorf("told by another node: %+v", r)
		}
		// What another node answers is closed only with slack for what is not
		// written yet.
		d := h.cut()
		h.clock.move(20 * time.Second)
		v, err = other.Receipt(t.Context(), h.admin, d.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if r := rowOf(t, v, p); r.State != Closes {
			t.Errorf("another node says %s of a guard it does not answer", r.State)
		}
	})
}

func TestASnapshotConfirmsOnlyOnceItIsAcknowledged(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, _ := h.guard("mail-1", mail)
		c := h.cut()
		a := h.ask(p, "") // it lost its cursor
		if r := rowOf(t, h.receipt(c), p); r.State != Waiting {
			t.Errorf("given, not acknowledged: %+v", r)
		}
		h.ask(p, a.Cursor)
		if r := rowOf(t, h.receipt(c), p); r.State != Confirmed || r.Bound {
			t.Errorf("acknowledged: %+v", r)
		}
	})
}

func TestWatchRingsAndIsCleanedUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, t.TempDir()+"/curfew.db")
	p, cursor := h.guard("mail-1", mail)
	c := h.cut()
	ctx, cancel := context.WithCancel(t.Context())
	bell := h.s.Watch(ctx, c.Receipt)
	a := h.ask(p, cursor)
	for len(bell) > 0 {
		<-bell
	}
	h.ask(p, a.Cursor)
	if _, ok := <-bell; !ok {
		t.Fatal("closed instead of ringing")
	}
	cancel()
	for range bell { // until it is closed
	}
	h.s.watchers.mu.Lock()
	defer h.s.watchers.mu.Unlock()
	if n := len(h.s.watchers.of); n != 0 {
		t.Errorf("%d watchers left", n)
	}
}

func TestExposureListsWhatIsOpenAndHowItWouldEnd(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		h.guard("mail-1", mail)
		h.update(func(tx *store.Tx) error {
			s := &grant.Session{ID: newSession(), User: h.ada, Created: start, LastUsed: start, AuthTime: start, Agent: "Firefox on Linux"}
			if err := tx.CreateSession(s); err != nil {
				return err
			}
			g := &grant.Grant{ID: newGrant(), User: h.ada, App: "mail", Offline: true, Created: start, LastUsed: start, AuthTime: start}
			g.State.Note(mail, start, start.Add(time.Hour))
			g.State.Note(legacy, start, start.Add(47*time.Minute))
			return tx.CreateGrant(g)
		})
		x, err := h.s.Exposure(t.Context(), h.admin, h.ada)
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Sessions) != 1 || len(x.Grants) != 1 || len(x.Grants[0].Tokens) != 2 || len(x.Lanes) != 3 || x.Last != nil {
			t.Fatalf("before: %+v", x)
		}
		want := []Ending{{Kind: AtOnce}, {Kind: Within, Within: 10 * time.Second}, {Kind: NotBefore, At: start.Add(47 * time.Minute)}}
		for i, l := range x.Lanes {
			if l.Ends.Kind != want[i].Kind || l.Ends.Within != want[i].Within || !l.Ends.At.Equal(want[i].At) {
				t.Errorf("lane %d, %s, ends %+v, want %+v", i, l.Name, l.Ends, want[i])
			}
		}
		h.clock.move(time.Second)
		c := h.cut()
		x, err = h.s.Exposure(t.Context(), h.admin, h.ada)
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Sessions) != 0 || len(x.Grants) != 0 || len(x.Residual) != 1 || x.Residual[0].Resource != legacy || x.Last == nil || x.Last.Receipt != c.Receipt {
			t.Fatalf("after: %+v", x)
		}
		h.clock.move(53 * time.Minute)
		if x, err = h.s.Exposure(t.Context(), h.admin, h.ada); err != nil || len(x.Residual) != 0 || x.Lanes != nil {
			t.Fatalf("in the end nothing is live: %+v, %v", x, err)
		}
		_, err = h.s.Exposure(t.Context(), h.admin, directory.NewID[directory.User](start))
		wantKind(t, err, fault.NotFound)
	})
}

func TestOverviewNamesTheWorstResource(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		p, cursor := h.guard("mail-1", mail)
		h.guard("drive-1", drive)
		h.cut()
		a := h.ask(p, cursor)
		h.clock.move(20 * time.Millisecond)
		h.ask(p, a.Cursor)
		o, err := h.s.Overview(t.Context(), h.admin)
		if err != nil {
			t.Fatal(err)
		}
		if o.WorstResource != legacy || o.Worst != time.Hour+Leeway || o.Without != 10*time.Second || o.Guards != 2 || o.Answering != 2 || len(o.Latest) != 1 {
			t.Errorf("overview: %+v", o)
		}
		for _, r := range o.Rungs {
			if r.Resource == mail && r.Measured != 20*time.Millisecond {
				t.Errorf("mail was measured at %s", r.Measured)
			}
		}
		guards, err := h.s.Guards(t.Context(), h.admin)
		if err != nil || len(guards) != 3 || guards[0].State != Lives || guards[0].Resource != legacy {
			t.Errorf("guards: %+v, %v", guards, err)
		}
		lines, err := h.s.Ledger(t.Context(), h.admin, 0, 2)
		if err != nil || len(lines) != 2 || lines[0].Cause != "revoked" || lines[0].Receipt == "" || lines[0].Pos != o.Head {
			t.Errorf("ledger: %+v, %v", lines, err)
		}
		if _, err := h.s.Ledger(t.Context(), h.admin, -1, 2); !fault.Is(err, fault.Invalid) {
			t.Errorf("before -1: %v", err)
		}
		// Tokens that live longer than the resource's life says now are the worst.
		h.update(func(tx *store.Tx) error {
			r, err := tx.Resource(legacy)
			if err != nil {
				return err
			}
			r.LongUntil = tx.Now.Add(5 * time.Hour)
			return tx.SaveResource(r)
		})
		if long, err := h.s.Overview(t.Context(), h.admin); err != nil || long.Worst != 5*time.Hour+Leeway {
			t.Errorf("worst %v, %v", long.Worst, err)
		}
	})
}

func TestRegisteringIsCheckedAndRationed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, t.TempDir()+"/curfew.db")
	good := Registration{Name: "mail-1", Resource: mail, MaxStaleness: 10 * time.Second}
	for name, c := range map[string]struct {
		change func(*Registration)
		kind   fault.Kind
	}{
		"no name":           {func(r *Registration) { r.Name = "" }, fault.Invalid},
		"a long name":       {func(r *Registration) { r.Name = string(make([]byte, 65)) }, fault.Invalid},
		"a line break":      {func(r *Registration) { r.Name = "mail\n1" }, fault.Invalid},
		"too patient":       {func(r *Registration) { r.MaxStaleness = 6 * time.Minute }, fault.Invalid},
		"too impatient":     {func(r *Registration) { r.MaxStaleness = 999 * time.Millisecond }, fault.Invalid},
		"another resource":  {func(r *Registration) { r.Resource = legacy }, fault.Denied},
		"a strange version": {func(r *Registration) { r.Version = "\x00" }, fault.Invalid},
	} {
		r := good
		c.change(&r)
		if _, err := h.s.Register(t.Context(), h.app, r); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	p, cursor := h.guard("mail-1", mail)
	other := &directory.App{ID: "other", Guards: []directory.ResourceID{mail}}
	_, err := h.s.Ask(t.Context(), other, Ask{Process: p, After: cursor})
	wantKind(t, err, fault.NotFound)
	wantKind(t, h.s.Goodbye(t.Context(), other, p), fault.NotFound)
	narrowed := &directory.App{ID: "mail"}
	_, err = h.s.Ask(t.Context(), narrowed, Ask{Process: p, After: cursor})
	wantKind(t, err, fault.Denied)
	_, err = h.s.Ask(t.Context(), h.app, Ask{Process: p, After: cursor, Wait: 31 * time.Second})
	wantKind(t, err, fault.Invalid)
	// One snapshot was taken; two more may be had at once, then one a second.
	for i := range 3 {
		_, err := h.s.Ask(t.Context(), h.app, Ask{Process: p})
		if (err == nil) != (i < 2) {
			t.Errorf("snapshot %d: %v", i+2, err)
		}
	}
	h.clock.move(time.Second)
	if _, err := h.s.Ask(t.Context(), h.app, Ask{Process: p}); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestTheHubForgetsOldLinesAndAsksTheLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t, t.TempDir()+"/curfew.db")
	p, cursor := h.guard("mail-1", mail)
	h.cut()
	// Another node, or this one after a restart: it knows the mark of its head only.
	h.s = h.service(h.db)
	h.ask(p, h.ask(p, "").Cursor)
	before := cutoff.Pos(0)
	_, before = h.eras()
	h.s.hub.mu.Lock()
	h.s.hub.started = false
	h.s.hub.mu.Unlock()
	a := h.ask(p, cursor)
	if n, head := h.eras(); !a.Snapshot || n != 0 || head != before {
		t.Errorf("an old honest cursor: %+v, %d eras", a, n)
	}
}

func newSession() (id directory.SessionID) { id[0] = 1; return id }

func newGrant() (id directory.GrantID) { id[0] = 2; return id }

// A device may be deleted by the cut: its receipt stays its owner's, and is nobody
// else's.
func TestAReceiptOfADeviceIsItsOwners(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		k, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d := &directory.Device{ID: directory.NewID[directory.Device](start), User: h.ada, Name: "Laptop", Key: k.PublicKey().Bytes(), Cookie: [32]byte{1}, Created: start, Enabled: true}
		h.update(func(tx *store.Tx) error { return devices.Create(tx, d) })
		var c *store.Cut
		h.update(func(tx *store.Tx) (err error) { c, err = devices.Delete(tx, d.ID); return err })
		h.update(func(tx *store.Tx) error { return tx.SaveRest(c.Receipt, &store.Rest{Sessions: 1}) })
		v, err := h.s.Receipt(t.Context(), directory.Actor{User: h.ada}, c.Receipt)
		if err != nil || v.About != h.ada || !v.Counted || v.Title != TitleOver || v.Sessions != 1 {
			t.Errorf("its owner reads %+v, %v", v, err)
		}
		_, err = h.s.Receipt(t.Context(), directory.Actor{User: directory.NewID[directory.User](start)}, c.Receipt)
		wantKind(t, err, fault.Denied)
	})
}
