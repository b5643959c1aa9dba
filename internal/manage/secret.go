package manage

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
)

// NewSecret is an application's secret as it is shown, once.
type NewSecret struct {
	ID      string
	Value   string // "cfs_" and 40 characters
	Hint    string // what of it is stored to tell it from others
	Expires time.Time
	// OldUntil is when the secrets it replaces end that have not ended by then;
	// zero: they are gone, or none was replaced.
	OldUntil time.Time
}

// secretPrefix lets scanners of leaked code recognise a secret of curfew.
const secretPrefix = "cfs_"

// String keeps the value out of logs.
func (s NewSecret) String() string { return "secret " + s.ID + " (" + s.Hint + "…)" }

// makeSecret makes a secret of 238 random bits, and what is stored of it.
func makeSecret(now, expires time.Time) (*NewSecret, directory.AppSecret, error) {
	if !expires.IsZero() && !expires.After(now) {
		return nil, directory.AppSecret{}, invalid("The secret would be expired already.")
	}
	value := secretPrefix + pick(directory.Alphanumeric, 40)
	stored := storedSecret(now, directory.NewID[directory.AppSecret](now).String(), value)
	stored.Expires = expires.UTC()
	return &NewSecret{ID: stored.ID, Value: value, Hint: stored.Hint, Expires: expires}, stored, nil
}

func storedSecret(now time.Time, id, value string) directory.AppSecret {
	hash := sha256.Sum256([]byte(value))
	hint := value
	if len(value) > len(secretPrefix) && value[:len(secretPrefix)] == secretPrefix {
		hint = value[len(secretPrefix):]
	}
	return directory.AppSecret{ID: id, Hash: hash[:], Hint: hint[:min(3, len(hint))], Created: now}
}

// AddSecret makes one more secret; the others stay good. A zero expires is
// never. Kinds: Denied, Invalid, NotFound, Conflict (too many), Unavailable.
func (s *Service) AddSecret(ctx context.Context, actor directory.Actor, id directory.AppID, expires time.Time, act Act) (*NewSecret, error) {
	return s.AddNamedSecret(ctx, actor, id, "", expires, act)
}

// AddNamedSecret is AddSecret of one that people call by a name.
func (s *Service) AddNamedSecret(ctx context.Context, actor directory.Actor, id directory.AppID, name string, expires time.Time, act Act) (*NewSecret, error) {
	made, _, err := s.newSecret(ctx, actor, id, name, expires, act, nil)
	return made, err
}

// maxOverlap is how long old secrets may go on beside the new one.
const maxOverlap = 90 * 24 * time.Hour

// RotateSecret makes a secret that replaces all others. Without overlap they are
// removed at once and the application's own access tokens end; with one they end
// that much later by themselves, and nothing ends now. Grants of people go on with
// the new secret. Kinds as AddSecret.
func (s *Service) RotateSecret(ctx context.Context, actor directory.Actor, id directory.AppID, expires time.Time, overlap time.Duration, act Act) (*NewSecret, *Receipt, error) {
	return s.newSecret(ctx, actor, id, "", expires, act, &overlap)
}

// newSecret makes a secret; overlap is how long the others stay, nil: as long as
// they would.
func (s *Service) newSecret(ctx context.Context, actor directory.Actor, id directory.AppID, name string, expires time.Time, act Act, overlap *time.Duration) (made *NewSecret, r *Receipt, err error) {
	r, err = s.changeSecrets(ctx, actor, id, act, func(c *step, a *directory.App) error {
		if a.Public {
			return invalid("A public application keeps no secret.")
		}
		x, stored, err := makeSecret(c.Now, expires)
		if err != nil {
			return err
		}
		if err := directory.CheckText("The name of the secret", name, 120); err != nil {
			return err
		}
		made, stored.Name = x, name
		a.Secrets = slices.Clone(a.Secrets)
		switch {
		case overlap == nil:
		case *overlap < 0 || *overlap > maxOverlap:
			return invalid("Old secrets stay good for at most 90 days beside the new one.")
		case *overlap == 0:
			a.Secrets = nil
		default:
			until := c.Now.Add(*overlap).UTC()
			for i := range a.Secrets {
				if old := &a.Secrets[i]; old.Expires.IsZero() || old.Expires.After(until) {
					old.Expires, made.OldUntil = until, until
				}
			}
		}
		if len(a.Secrets) >= maxSecrets {
			return fault.New(fault.Conflict, "An application has at most 10 secrets. Remove one first.")
		}
		a.Secrets = append(a.Secrets, stored)
		if !made.OldUntil.IsZero() {
			c.said = append(c.said, Change{Kind: "app", Name: string(id), What: "Lets the old secrets of the application " + string(id) + " work until " + made.OldUntil.Format(time.RFC3339) + "."})
		}
		return nil
	})
	if err != nil || act.DryRun {
		return nil, nil, err
	}
	return made, r, nil
}

// RemoveSecret removes a secret by its id. The application's own access tokens
// end. Kinds as AddSecret.
func (s *Service) RemoveSecret(ctx context.Context, actor directory.Actor, id directory.AppID, secret string, act Act) (*Receipt, error) {
	return s.changeSecrets(ctx, actor, id, act, func(c *step, a *directory.App) error {
		n := len(a.Secrets)
		a.Secrets = slices.DeleteFunc(slices.Clone(a.Secrets), func(x directory.AppSecret) bool { return x.ID == secret })
		if len(a.Secrets) == n {
			return fault.New(fault.NotFound, "There is no such secret.")
		}
		return nil
	})
}

// changeSecrets is changeApp for secrets: who can add one can be the application.
func (s *Service) changeSecrets(ctx context.Context, actor directory.Actor, id directory.AppID, act Act, f func(*step, *directory.App) error) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, false, func(c *step) error {
		old, err := c.Tx.App(id)
		var target role.Target
		if err == nil {
			if target, err = c.appTarget(old); err != nil {
				return err
			}
		}
		about := audit.Party{Kind: "app", ID: string(id), Name: string(id)}
		if err := c.allow("Update application – certificates and secrets management", about, string(id), role.UpdateAppKeys, target); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		a := *old
		if err := f(c, &a); err != nil {
			return err
		}
		_, err = c.saveApp(old, &a)
		return err
	})
	return first(all, string(id)), err
}

// appTarget is the application's identity as a target, zero but for who owns it if
// it has none.
func (c *step) appTarget(a *directory.App) (t role.Target, err error) {
	if !a.Principal.IsZero() {
		u, err := c.Tx.User(a.Principal)
		if err != nil {
			return t, err
		}
		if t, err = c.target(u); err != nil {
			return t, err
		}
	}
	t.Owned, err = c.owns(a)
	return t, err
}
