package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"
)

// Party is who acted or was acted upon.
type Party struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Receipt is what was cut, when, by whom, and what has become of it since.
type Receipt struct {
	ID        string    `json:"id"`
	Pos       int64     `json:"pos"` // ledger position
	At        time.Time `json:"at"`
	Now       time.Time `json:"now"` // when the server looked
	Cause     string    `json:"cause"`
	Actor     Party     `json:"actor"`
	Target    Party     `json:"target"`
	Reason    string    `json:"reason"`
	Kept      bool      `json:"kept"`    // the actor's own session was spared
	Counted   bool      `json:"counted"` // until then nothing is complete
	Sessions  int       `json:"sessions"`
	Grants    int       `json:"grants"`
	Tokens    int       `json:"tokens"`
	Title     string    `json:"title"` // cut, unconfirmed, over
	Guards    int       `json:"guards"`
	Confirmed int       `json:"confirmed"`
	Complete  bool      `json:"complete"` // every guard that had to has confirmed
	SlowestMs float64   `json:"slowestMs"`
	OverSince time.Time `json:"overSince"`
	OverAt    time.Time `json:"overAt"`
	Rows      []Row     `json:"rows"`
	Left      []Row     `json:"left"`

	Raw json.RawMessage `json:"-"` // as it came
}

// Row is one place where access is checked.
type Row struct {
	State       string    `json:"state"` // ended, confirmed, waiting, closes, closed, gone, lives, over, unknown
	Where       string    `json:"where"` // the guard's name, "curfew", or empty for nobody
	Resource    string    `json:"resource"`
	Protects    string    `json:"protects"` // the resource's name
	Tokens      int       `json:"tokens"`
	At          time.Time `json:"at"`
	Latest      time.Time `json:"latest"`
	Bound       bool      `json:"bound"` // at the latest at At
	AfterMs     float64   `json:"afterMs"`
	SilentSince time.Time `json:"silentSince"`
	Ledger      int64     `json:"ledger"`
	Why         string    `json:"why"`
}

// UnmarshalJSON also keeps the whole text: what is printed as JSON is what the
// server wrote, fields of tomorrow included.
func (r *Receipt) UnmarshalJSON(b []byte) error {
	type plain Receipt
	if err := json.Unmarshal(b, (*plain)(r)); err != nil {
		return err
	}
	r.Raw = append(json.RawMessage(nil), b...)
	return nil
}

// Settled reports whether waiting can change nothing any more: all is counted,
// and no guard is still to confirm or to close.
func (r *Receipt) Settled() bool {
	if !r.Counted {
		return false
	}
	for _, row := range r.Rows {
		if row.State == "waiting" || row.State == "closes" {
			return false
		}
	}
	return true
}

// Receipt returns a receipt as it stands.
func (c *Client) Receipt(ctx context.Context, id string) (*Receipt, error) {
	r := &Receipt{}
	return r, c.do(ctx, call{method: "GET", path: "/curfew" + at("receipts", id)}, r)
}

// Follow calls f with the receipt as it stands and whenever it changes, until f
// returns false or ctx ends. It goes on after a lost connection.
func (c *Client) Follow(ctx context.Context, id string, f func(*Receipt) bool) error {
	for wait := 50 * time.Millisecond; ; wait = min(wait*2, time.Second) {
		over := false
		show := func(r *Receipt) bool {
			wait = 50 * time.Millisecond
			over = !f(r)
			return !over
		}
		var bad error
		err := c.events(ctx, "/curfew"+at("receipts", id)+"/events", func(data []byte) bool {
			r := &Receipt{}
			if bad = json.Unmarshal(data, r); bad != nil {
				return false
			}
			return show(r)
		})
		if over {
			return nil
		}
		if bad == nil && err == nil {
			bad = errors.New("the stream ended")
		}
		var e *Error
		if ctx.Err() == nil && (errors.As(err, &e) && e.Status < 500 && e.Status != 429 || isSignedOut(err)) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		// Where streams do not get through, asking does.
		r, err := c.Receipt(ctx, id)
		if err == nil && !show(r) {
			return nil
		}
	}
}

func isSignedOut(err error) bool {
	var out *SignedOut
	return errors.As(err, &out)
}

// Receipts lists the newest receipts, at most limit; user, an id, when not empty,
// is who they are about.
func (c *Client) Receipts(ctx context.Context, user string, limit int) ([]*Receipt, error) {
	v := url.Values{}
	if user != "" {
		v.Set("target", user)
	}
	return newest[Receipt](ctx, c, "/curfew/receipts", v, limit, func(r *Receipt) int64 { return r.Pos })
}

// newest reads a list that is paged by ledger position.
func newest[T any](ctx context.Context, c *Client, path string, v url.Values, limit int, pos func(*T) int64) (out []*T, err error) {
	for len(out) < limit {
		n := min(limit-len(out), 500)
		v.Set("top", strconv.Itoa(n))
		var page struct {
			Value []*T `json:"value"`
		}
		if err := c.do(ctx, call{method: "GET", path: path, query: v}, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Value...)
		if len(page.Value) < n {
			break
		}
		v.Set("before", strconv.FormatInt(pos(page.Value[len(page.Value)-1]), 10))
	}
	return out, nil
}
