package desk

import (
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
)

// vitals are figures that every page shows, read at most so often. They are kept by
// the monotonic clock of this process.
type vitals struct {
	mu        sync.Mutex
	n         int             // guarded by mu
	countedAt time.Time       // guarded by mu
	o         *relay.Overview // guarded by mu
	readAt    time.Time       // guarded by mu
	fail      int             // guarded by mu
	failAt    time.Time       // guarded by mu
}

const (
	usersEvery  = 10 * time.Second
	vitalsEvery = time.Second
)

func (c *vitals) users(count func() (int, error)) int {
	c.mu.Lock()
	n, at := c.n, c.countedAt
	c.mu.Unlock()
	if !at.IsZero() && time.Since(at) < usersEvery {
		return n
	}
	n, err := count() // not under the lock: two may count at once
	if err != nil {
		return -1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.countedAt = n, time.Now()
	return n
}

func (c *vitals) failing(read func() ([]deliver.Recipient, error)) int {
	c.mu.Lock()
	n, at := c.fail, c.failAt
	c.mu.Unlock()
	if !at.IsZero() && time.Since(at) < vitalsEvery {
		return n
	}
	all, err := read()
	if err != nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.failAt = registry.Failing(all), time.Now()
	return c.fail
}

func (c *vitals) overview(read func() (*relay.Overview, error)) *relay.Overview {
	c.mu.Lock()
	o, at := c.o, c.readAt
	c.mu.Unlock()
	if o != nil && time.Since(at) < vitalsEvery {
		return o
	}
	o, err := read()
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o, c.readAt = o, time.Now()
	return o
}
