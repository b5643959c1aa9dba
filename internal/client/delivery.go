package client

import (
	"context"
	"time"
)

// Delivery is an application that is told when sessions end, and how it stands.
type Delivery struct {
	App         string    `json:"app"` // client_id
	Name        string    `json:"name"`
	Host        string    `json:"host"`
	State       string    `json:"state"` // upToDate, waiting, failing
	Pos         int64     `json:"pos"`
	Failing     time.Time `json:"failing"` // since when
	Attempts    int       `json:"attempts"`
	Error       string    `json:"error"`
	Next        time.Time `json:"next"` // when a failing one is tried again
	DeadLetters int       `json:"deadLetters"`
}

// Deliveries lists who is told of logouts.
func (c *Client) Deliveries(ctx context.Context) ([]*Delivery, error) {
	return all[Delivery](ctx, c, "/curfew/deliveries", nil)
}

// DeadLetter is what an application was not told.
type DeadLetter struct {
	ID       string    `json:"id"`
	App      string    `json:"app"`
	Pos      int64     `json:"pos"`
	Cause    string    `json:"cause"`
	Cut      time.Time `json:"cut"`
	User     string    `json:"user"`    // object id; with rest: everybody after them
	Session  string    `json:"session"` // empty: all of the user's
	Rest     bool      `json:"rest"`    // everything that was left of the line
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	GivenUp  time.Time `json:"givenUp"`
}

// DeadLetters lists what was given up, the oldest first.
func (c *Client) DeadLetters(ctx context.Context) ([]*DeadLetter, error) {
	return all[DeadLetter](ctx, c, "/curfew/deadLetters", nil)
}

// RetryDelivery tries a failing application again now.
func (c *Client) RetryDelivery(ctx context.Context, app string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("deliveries", app, "retry")}, act, nil)
}

// RetryDeadLetter sends a dead letter again and forgets it once it was taken.
func (c *Client) RetryDeadLetter(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("deadLetters", id, "retry")}, act, nil)
}

// DropDeadLetter forgets a dead letter.
func (c *Client) DropDeadLetter(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("deadLetters", id, "drop")}, act, nil)
}
