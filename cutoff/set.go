package cutoff

import (
	"crypto/sha256"
	"encoding/hex"
)

// Kind says which artefacts a question is about.
type Kind uint8

// The two kinds of artefact, told apart by which reach ends them.
const (
	// Browser: sessions, codes, device codes, pushed requests, tickets.
	// Only cutoffs that reach everything end them.
	Browser Kind = iota
	// Token: grants and access tokens. Every cutoff ends them but one of reach
	// [Judge], which ends nothing.
	Token
)

// key is 16 bytes that stand for an ID: the bytes of a UUID, or the first half
// of a SHA-256 for any other string. Two ids that share a key would be cut
// together, never missed; finding a second one takes 2^128 tries.
type key [16]byte

func keyOf(s Scope, id string) key {
	var k key
	switch s {
	case App, UserApp: // a client_id is any string; it may look like a UUID
	default:
		if parseUUID(&k, id) {
			return k
		}
	}
	h := sha256.Sum256([]byte(id))
	copy(k[:], h[:])
	return k
}

func parseUUID(k *key, s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	var b [32]byte
	copy(b[0:8], s[0:8])
	copy(b[8:12], s[9:13])
	copy(b[12:16], s[14:18])
	copy(b[16:20], s[19:23])
	copy(b[20:32], s[24:36])
	_, err := hex.Decode(k[:], b[:])
	return err == nil
}

// Owner says to whom an artefact belongs, ready to be looked up. Build it once
// with NewOwner and keep it with the artefact: looking up allocates nothing.
// The zero Owner belongs to the directory only.
type Owner struct {
	n    uint8
	at   [int(scopes)]Scope
	keys [int(scopes)]key
	// more holds what did not fit, of a chain. Few artefacts have one, so the
	// others do not pay for its room.
	more *Owner
}

// Belongs lists the ids an artefact belongs to, each in its wire form. Empty
// ones are left out: an app-only token has no session.
type Belongs struct {
	User    string // object id
	Session string // only while the artefact ends with the session
	Grant   string
	App     string // client_id
	Device  string
	// Chain is what the grant was made from, nearest first; see [Link].
	Chain []Link
}

// Link is one step up the chain by which a grant came to be: the grant whose
// access token was exchanged, and the application that held it. Whatever ends
// one of them ends what was made from it.
type Link struct {
	Grant string
	App   string // client_id
}

// MaxChain is how many links a chain may have. Each is carried in every token
// and looked up at every change of the ledger; four services behind one another
// are more than anybody can follow when a receipt names them.
const MaxChain = 4

// Each calls f for every scope and id whose cutoffs cover the artefact, but for
// the directory's, which cover everything.
func (b *Belongs) Each(f func(Scope, string)) {
	own := func(s Scope, id string) {
		if id != "" {
			f(s, id)
		}
	}
	in := func(grant, app string) {
		own(Grant, grant)
		own(App, app)
		if b.User != "" && app != "" {
			f(UserApp, UserAppID(b.User, app))
		}
	}
	own(User, b.User)
	own(Session, b.Session)
	own(Device, b.Device)
	in(b.Grant, b.App)
	for _, l := range b.Chain {
		in(l.Grant, l.App)
	}
}

// NewOwner prepares b for look-ups.
func NewOwner(b Belongs) Owner {
	var o Owner
	last := &o
	b.Each(func(s Scope, id string) {
		if int(last.n) == len(last.at) {
			last.more = new(Owner)
			last = last.more
		}
		last.at[last.n], last.keys[last.n] = s, keyOf(s, id)
		last.n++
	})
	return o
}

// marks holds, for one reach, the latest position of each scope:id.
type marks [scopes]map[key]Pos

// Set is a merged set of cutoffs. The zero Set is empty and usable. It is not
// safe for concurrent use: its owner locks.
//
// The reaches have maps of their own, not one map of pairs: nearly every
// id has one of them only, and a slot of 24 bytes instead of 32 is what keeps
// a million users under 64 MiB.
type Set struct {
	all [reaches]Pos
	at  [reaches]marks
}

// Merge adds everything line l names, keeping the larger position where there
// is one already. It reports whether the set changed.
//
// Lines from outside are to be checked with [Line.Valid] first. Should an
// invalid cutoff arrive all the same, doubt closes: an unknown scope covers the
// whole directory, an unknown reach everything.
func (s *Set) Merge(l Line) (changed bool) {
	for _, c := range l.Cuts {
		if s.merge(c, l.Pos) {
			changed = true
		}
	}
	return changed
}

func (s *Set) merge(c Cutoff, p Pos) bool {
	r := c.Reach
	if r != Tokens && r != Judge {
		r = Everything
	}
	if c.Scope <= All || c.Scope >= scopes {
		if s.all[r] >= p {
			return false
		}
		s.all[r] = p
		return true
	}
	m := s.at[r][c.Scope]
	if m == nil {
		m = make(map[key]Pos)
		s.at[r][c.Scope] = m
	}
	k := keyOf(c.Scope, c.ID)
	if m[k] >= p {
		return false
	}
	m[k] = p
	return true
}

// Latest returns the largest position of any cutoff that ends an artefact of
// kind k that belongs to o, or 0. The artefact is dead exactly when it was born
// before that position. What must only be judged again is not dead: see
// [Set.Judge].
func (s *Set) Latest(o *Owner, k Kind) Pos {
	p := s.latest(o, Everything)
	if k == Token {
		p = max(p, s.latest(o, Tokens))
	}
	return p
}

func (s *Set) latest(o *Owner, r Reach) Pos {
	p, at := s.all[r], &s.at[r]
	for ; o != nil; o = o.more {
		for i := range o.n {
			if m := at[o.at[i]]; len(m) > 0 {
				p = max(p, m[o.keys[i]])
			}
		}
	}
	return p
}

// Judge returns the largest position of any cutoff of reach [Judge] that covers an
// artefact that belongs to o, or 0. Born, or last judged, before that position, it
// is not to be accepted until the server has judged it again.
func (s *Set) Judge(o *Owner) Pos { return s.latest(o, Judge) }

// Dead reports whether an artefact of kind k that belongs to o and was born at
// born is cut. An artefact that does not know when it was born (born < 1 in a
// directory that has cut anything) is dead as soon as anything covers it.
func (s *Set) Dead(o *Owner, born Pos, k Kind) bool { return born < s.Latest(o, k) }

// Forget drops the marks of scope:id. The caller promises that no artefact of
// that scope and id can exist any more, and that none will be born again.
func (s *Set) Forget(sc Scope, id string) {
	k := keyOf(sc, id)
	for r := range s.at {
		delete(s.at[r][sc], k)
	}
}

// Len returns the number of scope:id pairs in the set. It walks the pairs that
// were cut for tokens only, or are to be judged again; it is meant for status
// pages, not for hot paths.
func (s *Set) Len() int {
	n := 0
	for sc := range scopes {
		ended, tokens := s.at[Everything][sc], s.at[Tokens][sc]
		n += len(ended)
		for k := range tokens {
			if _, ok := ended[k]; !ok {
				n++
			}
		}
		for k := range s.at[Judge][sc] {
			_, ok := ended[k]
			if _, too := tokens[k]; !ok && !too {
				n++
			}
		}
	}
	return n
}
