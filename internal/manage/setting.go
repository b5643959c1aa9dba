package manage

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
)

var settingsParty = audit.Party{Kind: "directory", Name: "settings"}

const updateSettings = "Update settings"

// Settings lists what can be set. Kinds: Denied, Unavailable.
func (s *Service) Settings(ctx context.Context, actor directory.Actor) (all []*standing.Setting, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("Read settings", settingsParty, "", role.ReadLedger, role.Target{}); err != nil {
			return err
		}
		w, err := c.Widening()
		all = w.Settings()
		return err
	})
	return all, err
}

// SetSetting widens what an event ends, or takes that back with standing.Unset.
// What has ended stays ended. Kinds: Denied, Invalid (it would narrow), Revoked,
// Unavailable.
func (s *Service) SetSetting(ctx context.Context, actor directory.Actor, name, value string, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		return c.widen(map[string]string{strings.TrimPrefix(name, standing.Lifecycle): value})
	})
	return err
}

// widen sets the rows that are mentioned.
func (c *step) widen(rows map[string]string) error {
	// As for naming the directory, see there.
	if !role.Allowed(c.actor, role.CutDirectory, role.Target{}).OK {
		err := fault.New(fault.Denied, "Only a Global Administrator can change settings.")
		c.refused = &audit.Record{Action: updateSettings, Result: audit.Refused, Target: settingsParty, Elaborate: err.Public}
		return err
	}
	old, err := c.HoldWidening()
	now := old
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if err == nil {
			now, err = now.Choose(name, rows[name])
		}
		if was, value := old[standing.Event(name)], now[standing.Event(name)]; err == nil && value != was {
			c.did(updateSettings, settingsParty, "Sets "+standing.Lifecycle+name+" to "+rows[name]+".", audit.Change{Property: standing.Lifecycle + name, Old: was, New: value})
		}
	}
	if err != nil || maps.Equal(old, now) {
		return err
	}
	return c.SaveWidening(now)
}
