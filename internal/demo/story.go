package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// try is one thing that must not work after the cut.
type try struct {
	who, does string
	f         func() (said, error)
}

// after: the cut, and everything that was good before it.
func (s *story) after(ctx context.Context) {
	d := s.d
	m, dr, l := s.mine(d.mail), s.mine(d.drive), s.mine(d.legacy)
	if m == nil || dr == nil || l == nil || s.grace == nil {
		s.row("", "the rest of the story", func() (said, error) { return said{}, errors.New("cannot be played") })
		return
	}
	s.old, s.oldDrive, s.oldLegacy, s.legacyExpires = tokens{Access: m.access, Refresh: m.refresh}, tokens{Access: dr.access, Refresh: dr.refresh}, l.access, l.expires

	// Whoever watches the guards must have begun before the cut.
	type end struct {
		try
		answer said
		err    error
		at     time.Time
	}
	ends := make(chan end, 32)
	var trying, watching sync.WaitGroup
	for _, w := range []struct {
		app   *app
		token string
		does  string
	}{
		{d.mail, s.old.Access, "mail, same access token"},
		{d.drive, s.oldDrive.Access, "drive, same access token"},
		{d.second, s.oldDrive.Access, "drive-2, same access token"},
	} {
		watching.Add(1)
		trying.Go(func() {
			e := end{try: try{who: "ada", does: w.does}}
			e.answer, e.at, e.err = s.watch(ctx, w.app, w.token, watching.Done)
			ends <- e
		})
	}
	watching.Wait()

	var cut *client.Receipt
	s.row("grace", "disables and revokes ada", func() (said, error) {
		done, err := s.grace.SetEnabled(ctx, s.victim, false, client.Act{Reason: "left the company"})
		if err != nil {
			return said{}, err
		}
		for _, t := range s.tries(ctx) {
			trying.Go(func() {
				e := end{try: t}
				e.answer, e.err = t.f()
				e.at = time.Now()
				ends <- e
			})
		}
		s.receipt = done.Receipt
		if cut, err = s.grace.Receipt(ctx, done.Receipt); err != nil {
			return said{}, err
		}
		return said{"", "cut, ledger " + term.Num(cut.Pos)}, nil
	})
	if cut == nil {
		trying.Wait()
		return
	}
	s.cut = cut.At
	s.rule("cut " + s.c.Milli(s.cut))
	s.head("ms", "tries")
	go func() { trying.Wait(); close(ends) }()
	for e := range ends {
		s.tell(e.at, e.who, e.does, e.answer, e.err)
	}
	s.row("ada", "the right password", func() (said, error) {
		_, err := NewBrowser(d.base).SignIn(ctx, d.mail.base+"/signin", ada, d.password, true)
		if err == nil || !strings.Contains(err.Error(), "disabled") {
			return said{}, errors.Join(err, errors.New("not refused for the reason that the account is disabled"))
		}
		return said{"ended", err.Error()}, nil
	})
	s.row("grace", "revokes ada's sessions too", func() (said, error) {
		done, err := s.grace.RevokeUser(ctx, s.victim, client.Act{Reason: "left the company"})
		if err != nil || done.Receipt == nil {
			return said{}, errors.Join(err, errors.New("no receipt"))
		}
		return said{"ended", "ledger " + term.Num(done.Receipt.Pos)}, nil
	})
	s.row("receipt", "who has confirmed", func() (said, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		err := s.grace.Follow(ctx, s.receipt, func(r *client.Receipt) bool { cut = r; return !r.Complete })
		if err == nil && cut.Guards != 3 {
			err = errors.New("not all guards are on it")
		}
		text := fmt.Sprintf("%d of %d guards confirmed, slowest %s", cut.Confirmed, cut.Guards, term.Span(time.Duration(cut.SlowestMs*float64(time.Millisecond))))
		if err != nil {
			err = fmt.Errorf("%s: %w", text, err)
		}
		return said{"ended", text}, err
	})
	s.row("ada", "legacy, same access token", func() (said, error) {
		status, _, err := s.ask(ctx, d.legacy, s.oldLegacy)
		if err != nil || status != http.StatusOK {
			return said{}, errors.Join(err, fmt.Errorf("%d, though nothing can end it", status))
		}
		for _, row := range cut.Left {
			if row.State == "lives" && row.Protects == "Legacy" && row.At.Unix() == s.legacyExpires.Unix() {
				return said{"lives", fmt.Sprintf("200, until %s (%s), as the receipt says", s.c.Sec(s.legacyExpires), term.Span(time.Until(s.legacyExpires).Round(time.Minute)))}, nil
			}
		}
		return said{}, errors.New("the receipt does not say that Legacy is left, and until when")
	})
	s.rule("")
}

// watchTime is when a guard that still lets an old token through has broken its
// promise beyond doubt: all are connected here, and are meant to need milliseconds.
const watchTime = 4 * time.Second

// watch asks an API over and over until it refuses.
func (s *story) watch(ctx context.Context, a *app, token string, begun func()) (said, time.Time, error) {
	begun = sync.OnceFunc(begun)
	defer begun()
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	for {
		status, why, err := s.ask(ctx, a, token)
		at := time.Now()
		switch {
		case ctx.Err() != nil:
			return said{}, at, errors.New("still let in")
		case err != nil:
			return said{}, at, err
		case status == http.StatusOK:
			begun()
		case status == http.StatusUnauthorized && why == "insufficient_claims":
			return said{"ended", "401 " + why}, at, nil
		default:
			return said{}, at, fmt.Errorf("%d %s", status, why)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

// tries are what must fail at once when the cut has been answered.
func (s *story) tries(ctx context.Context) []try {
	d := s.d
	refused := func(a *app, form url.Values) func() (said, error) {
		return func() (said, error) {
			t, err := a.token(ctx, form)
			switch {
			case err != nil:
				return said{}, err
			case t.Access != "":
				return said{}, errors.New("200, a new token")
			case t.Error != "invalid_grant":
				return said{}, fmt.Errorf("400 %s", t.Error)
			}
			return said{"ended", "400 " + t.Error}, nil
		}
	}
	return []try{
		{"ada", "mail, refresh token", refused(d.mail, refreshForm(s.old.Refresh))},
		{"ada", "drive, refresh token", refused(d.drive, refreshForm(s.oldDrive.Refresh))},
		{"ada", "a code from before", refused(d.mail, url.Values{"grant_type": {"authorization_code"}, "code": {s.code}, "redirect_uri": {d.mail.base + "/callback"}, "code_verifier": {s.verifier}})},
		{"ada", "the device let in before", refused(s.cli(), url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"curfew-cli"}, "device_code": {s.device}})},
		{"ada", "browser cookie", func() (said, error) { return s.cookie(ctx) }},
		{"mail", "introspects the access token", func() (said, error) {
			in := struct{ Active bool }{true}
			if err := d.mail.post(ctx, "/oauth2/introspect", url.Values{"token": {s.old.Access}}, &in); err != nil || in.Active {
				return said{}, errors.Join(err, errors.New("active"))
			}
			return said{"ended", "200 not active"}, nil
		}},
	}
}

// cookie asks with ada's session cookie whether she is signed in.
func (s *story) cookie(ctx context.Context) (said, error) {
	p, err := s.ada.open(ctx, http.MethodGet, s.d.mail.authorizeURL("s", pending{"v", "n"}, url.Values{"prompt": {"none"}}), nil, false)
	if err != nil {
		return said{}, err
	}
	if e := p.URL.Query().Get("error"); e != "login_required" {
		return said{}, fmt.Errorf("not refused (%d %s)", p.status, e)
	}
	return said{"ended", "303 login_required"}, nil
}

// again: ada comes back, what was dead stays dead, and a guard loses its feed.
func (s *story) again(ctx context.Context) {
	if s.cut.IsZero() {
		return
	}
	s.cut = time.Time{}
	s.head("s", "does")
	d := s.d
	s.row("grace", "enables ada", func() (said, error) {
		_, err := s.grace.SetEnabled(ctx, s.victim, true, client.Act{Reason: "is back"})
		return said{"", "done, no waiting minute"}, err
	})
	fresh := NewBrowser(d.base)
	s.row("ada", "signs in again, reads all three", func() (said, error) {
		if _, err := fresh.SignIn(ctx, d.mail.base+"/signin", ada, d.password, true); err != nil {
			return said{}, err
		}
		for _, a := range []*app{d.drive, d.legacy} {
			if _, err := fresh.SignIn(ctx, a.base+"/signin", "", "", true); err != nil {
				return said{}, err
			}
		}
		return s.reads(ctx, fresh)
	})
	s.row("ada", "the old tokens, code and cookie", func() (said, error) {
		for _, a := range []struct {
			app   *app
			token string
		}{{d.mail, s.old.Access}, {d.drive, s.oldDrive.Access}, {d.second, s.oldDrive.Access}} {
			if status, _, err := s.ask(ctx, a.app, a.token); err != nil || status != http.StatusUnauthorized {
				return said{}, errors.Join(err, fmt.Errorf("%s answers %d to the old access token", a.app.name, status))
			}
		}
		for _, t := range s.tries(ctx)[:5] {
			if _, err := t.f(); err != nil {
				return said{}, fmt.Errorf("%s: %w", t.does, err)
			}
		}
		return said{"ended", "401, 400, login_required: dead stays dead"}, nil
	})
	s.row("drive-2", "loses the feed", func() (said, error) {
		d.line.cut()
		return said{"", "vouches for " + term.Span(secondLimit) + " at most"}, nil
	})
	s.row("ada", "drive-2, live access token", func() (said, error) { return s.closes(ctx, fresh) })
	s.row("ada", "drive-1, same token", func() (said, error) {
		m := d.sessionIn(fresh, d.drive)
		if m == nil {
			return said{}, errors.New("nobody is signed in")
		}
		status, _, err := s.ask(ctx, d.drive, m.access)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d", status)
		}
		return said{"", "200"}, err
	})
}

// closes asks the guard that lost its feed until it refuses, which it must do
// within its own limit.
func (s *story) closes(ctx context.Context, b *Browser) (said, error) {
	m := s.d.sessionIn(b, s.d.drive)
	if m == nil {
		return said{}, errors.New("nobody is signed in")
	}
	// A request may have been on its way when the limit passed.
	deadline := time.Now().Add(secondLimit + 500*time.Millisecond)
	for time.Now().Before(deadline) {
		status, _, err := s.ask(ctx, s.d.second, m.access)
		switch {
		case err != nil:
			return said{}, err
		case status == http.StatusServiceUnavailable:
			return said{"closed", "503, refuses what it cannot check"}, nil
		case status != http.StatusOK:
			return said{}, fmt.Errorf("%d", status)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return said{}, errors.New("200, though it has heard nothing for longer than its limit")
}
