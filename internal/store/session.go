package store

import (
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

const sessionColumns = `id, user_id, cookie, born, created, last_used, auth_time, kept, amr, device, ip, agent, provider, upstream_sid, second`

func scanSession(r scanner) (*grant.Session, error) {
	s := &grant.Session{}
	var cookie []byte
	var created, used, auth, second int64
	var amr string
	if err := r.Scan(&s.ID, &s.User, &cookie, &s.Born, &created, &used, &auth, &s.Kept, &amr, &s.Device, &s.IP, &s.Agent, &s.Provider, &s.UpstreamSID, &second); err != nil {
		return nil, found(err)
	}
	copy(s.Cookie[:], cookie)
	s.Created, s.LastUsed, s.AuthTime, s.SecondTime, s.AMR = fromMicros(created), fromMicros(used), fromMicros(auth), fromMicros(second), strings.Fields(amr)
	return s, nil
}

// CreateSession inserts a session, born at the transaction's head. One that takes
// an older head (because a fact was judged under it) sets Born before.
func (tx *Tx) CreateSession(s *grant.Session) error {
	if s.Born == 0 || s.Born > tx.Head {
		s.Born = tx.Head
	}
	_, err := tx.exec(`INSERT INTO sessions (id, user_id, cookie, born, created, last_used, auth_time, kept, amr, device, ip, agent, provider, upstream_sid, second) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		s.ID[:], s.User[:], s.Cookie[:], int64(s.Born), micros(s.Created), micros(s.LastUsed), micros(s.AuthTime), flag(s.Kept), strings.Join(s.AMR, " "), blob(s.Device), s.IP, s.Agent, string(s.Provider), s.UpstreamSID, micros(s.SecondTime))
	return err
}

// Session returns a session by id, dead or alive. ErrNotFound.
func (tx *Tx) Session(id directory.SessionID) (*grant.Session, error) {
	return scanSession(tx.row(`SELECT `+sessionColumns+` FROM sessions WHERE id = $1`, id[:]))
}

// HoldSession makes what is born in a session and what ends the session with all
// its grants go one after the other: a grant with offline_access does not belong
// to its session, so the list of those to be cut must be complete. Whatever was
// cut until the lock was had is seen by this transaction from here on. Lock order:
// after tickets and users, before grants and the head.
func (tx *Tx) HoldSession(id directory.SessionID) error {
	if !tx.db.Postgres() {
		return nil // one writer
	}
	var held directory.SessionID
	err := found(tx.row(`SELECT id FROM sessions WHERE id = $1 FOR UPDATE`, id[:]).Scan(&held))
	if err != nil && err != ErrNotFound {
		return err
	}
	return tx.row(`SELECT pos FROM head WHERE id = 1`).Scan(&tx.judged)
}

// SessionByCookie returns the session whose cookie has this SHA-256. ErrNotFound.
func (tx *Tx) SessionByCookie(hash [32]byte) (*grant.Session, error) {
	return scanSession(tx.row(`SELECT `+sessionColumns+` FROM sessions WHERE cookie = $1`, hash[:]))
}

// Sessions lists a user's sessions, dead or alive, the newest first, at most
// limit.
func (tx *Tx) Sessions(user directory.UserID, limit int) (all []*grant.Session, err error) {
	err = tx.each(`SELECT `+sessionColumns+` FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2`, func(r scanner) error {
		s, err := scanSession(r)
		all = append(all, s)
		return err
	}, user[:], int64(limit))
	return all, err
}

// TouchSession notes that a session was used. It sets no other column.
func (tx *Tx) TouchSession(id directory.SessionID, at time.Time) error {
	_, err := tx.exec(`UPDATE sessions SET last_used = $1 WHERE id = $2 AND last_used < $1`, micros(at), id[:])
	return err
}

// ReproveSession notes that the person behind a session has just proved again
// who they are. The session keeps its birth: what is cut stays cut.
func (tx *Tx) ReproveSession(id directory.SessionID, at time.Time, amr []string) error {
	n, err := tx.exec(`UPDATE sessions SET auth_time = $1, amr = $2, last_used = $1 WHERE id = $3`, micros(at), strings.Join(amr, " "), id[:])
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// ProveSecond notes that the person behind a session has just given the methods amr
// on top of what it was opened with. One that is two factors by itself proves anew
// who they are, too. The session keeps its birth. ErrNotFound.
func (tx *Tx) ProveSecond(id directory.SessionID, at time.Time, amr []string) error {
	s, err := scanSession(tx.row(`SELECT `+sessionColumns+` FROM sessions WHERE id = $1`+tx.lock(), id[:]))
	if err != nil {
		return err
	}
	if slices.Contains(amr, grant.AMRPasskey) && at.After(s.AuthTime) { // one that was remembered lies back
		s.AuthTime = at
	}
	_, err = tx.exec(`UPDATE sessions SET second = $1, auth_time = $2, amr = $3, last_used = $1 WHERE id = $4`, micros(at), micros(s.AuthTime), strings.Join(grant.Added(s.AMR, amr), " "), id[:])
	return err
}

// ReproveSessionThrough is ReproveSession by another identity provider.
func (tx *Tx) ReproveSessionThrough(s *grant.Session) error {
	if err := tx.ReproveSession(s.ID, tx.Now, s.AMR); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE sessions SET auth_time = $1, provider = $2, upstream_sid = $3 WHERE id = $4`, micros(s.AuthTime), string(s.Provider), s.UpstreamSID, s.ID[:])
	return err
}

// DeleteSession removes the row of a session that is over. Housekeeping: what
// ends a session is its cutoff.
func (tx *Tx) DeleteSession(id directory.SessionID) error {
	_, err := tx.exec(`DELETE FROM sessions WHERE id = $1`, id[:])
	return err
}
