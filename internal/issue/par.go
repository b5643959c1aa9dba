package issue

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

const (
	kindPushed = "par"
	pushedURI  = "urn:ietf:params:oauth:request_uri:" // RFC 9126 §2.2
	// PushedLife is how long after it was pushed a request may be brought by a
	// browser. Signing in may then take as long as it always may.
	PushedLife = 90 * time.Second
)

// pushed is what is kept of a pushed authorization request.
type pushed struct {
	Issuer grant.Issuer `json:"issuer"`
	Query  string       `json:"query"`
	Until  time.Time    `json:"until"` // for the first browser to come
	Seen   bool         `json:"seen,omitempty"`
}

// IsPushed reports whether a request_uri has the form of those that Push returns.
func IsPushed(uri string) bool { return strings.HasPrefix(uri, pushedURI) }

// errPushed: whoever asks is not told which of these it is.
var errPushed = refuse(fault.Invalid, "invalid_request_uri", 0, "", "The request_uri is not known, is over or was used, or belongs to another application or endpoint.")

// Push keeps an authorization request of a client, as one encoded query, and
// returns the request_uri it is found by (RFC 9126 §2). The surface has read it
// before: what is kept could be asked for. It is nobody's yet. Somebody's it
// becomes, and is born, when it is approved. ip is where it came from. Kinds:
// Limited.
func (s *Service) Push(ctx context.Context, client *Client, issuer grant.Issuer, query, ip string) (uri string, err error) {
	if client.Public {
		if err := s.Strangers.Admit(ip, s.Now()); err != nil {
			return "", err
		}
	}
	name := newSecret()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		doc, err := json.Marshal(pushed{Issuer: issuer, Query: query, Until: tx.Now.Add(PushedLife)})
		if err != nil {
			return err
		}
		return tx.CreateTicket(&store.Ticket{Hash: hashOf(name), Kind: kindPushed, App: client.ID, Expires: tx.Now.Add(PushedLife + s.Lifetimes.Ticket), Doc: string(doc)})
	})
	return pushedURI + name, err
}

// Pushed returns the query of a request that the application pushed at this
// issuer, and remembers that a browser has come for it. It can be asked for again
// until it is approved. Kinds: Invalid (invalid_request_uri).
func (s *Service) Pushed(ctx context.Context, app directory.AppID, issuer grant.Issuer, uri string) (query string, err error) {
	var doc pushed
	look := func(tx *store.Tx) error {
		t, d, err := openPushed(tx, app, issuer, uri)
		if err != nil {
			return err
		}
		if doc = *d; doc.Seen {
			return nil
		}
		if !tx.Now.Before(doc.Until) {
			return errPushed
		}
		doc.Seen = true
		return savePushed(tx, t, &doc)
	}
	// Coming again writes nothing, nor does asking for what is not there.
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		_, d, err := openPushed(tx, app, issuer, uri)
		if err == nil {
			doc = *d
		}
		return err
	})
	if err == nil && !doc.Seen {
		err = s.DB.Update(ctx, look)
	}
	return doc.Query, err
}

// approve makes a pushed request the person's, once: it is used in the
// transaction in which the code is born.
func approve(tx *store.Tx, app directory.AppID, issuer grant.Issuer, uri string, user directory.UserID) error {
	t, _, err := openPushed(tx, app, issuer, uri)
	if err != nil {
		return err
	}
	t.User, t.Born, t.Used = user, tx.Head, tx.Now
	return tx.SaveTicket(t)
}

// openPushed reads a pushed request that can still be approved.
func openPushed(tx *store.Tx, app directory.AppID, issuer grant.Issuer, uri string) (*store.Ticket, *pushed, error) {
	name, ok := strings.CutPrefix(uri, pushedURI)
	if !ok {
		return nil, nil, errPushed
	}
	t, err := tx.Ticket(kindPushed, hashOf(name))
	if err == nil {
		err = begun(tx, t)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, errPushed
	}
	if err != nil {
		return nil, nil, err
	}
	d := &pushed{}
	if err := json.Unmarshal([]byte(t.Doc), d); err != nil {
		return nil, nil, err
	}
	if t.App != app || d.Issuer != issuer || !t.Used.IsZero() || !tx.Now.Before(t.Expires) {
		return nil, nil, errPushed
	}
	return t, d, nil
}

func savePushed(tx *store.Tx, t *store.Ticket, d *pushed) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	t.Doc = string(text)
	return tx.SaveTicket(t)
}
