package signin

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
)

// TooMany is the error behind every fault of kind Limited: of a try that was not
// let through, and of an own password change too many.
type TooMany = revoke.TooMany

// tooMany is what the person is told; a surface that knows their zone says the
// minute in it instead.
func tooMany(until time.Time) error {
	minute := until.UTC().Add(time.Minute - time.Nanosecond).Truncate(time.Minute)
	return fault.Wrap(fault.Limited, "Too many tries. Try again at "+minute.Format("15:04")+" UTC.", &TooMany{Until: until})
}

// errAttacked stands beside the refusal of a try by the limit of an account: many
// addresses have guessed, and its owner should hear of it.
var errAttacked = errors.New("many tries from many addresses")

// rate is how many tries at once, and how often one more.
type rate struct {
	burst int
	every time.Duration
}

// The rates. Wrong tries count; right ones are given back, so a crowd behind
// one address, or a program that signs in every second, is not in the way of
// itself. More than waitersPerPlace may be on their way from one address.
var (
	perPair    = rate{10, 30 * time.Second} // one account from one address
	perAccount = rate{100, 10 * time.Second}
	perAddress = rate{100, 2 * time.Second} // whatever the account

	// Codes of six digits can be guessed: by somebody who knows the password already,
	// since nobody else is asked. 288 tries a day from all addresses together find one
	// in three years. Keys, recovery codes and passes cannot be, so that whoever has
	// one is never shut out by this. What an account has is a row, so that all nodes
	// together give no more; the rest is each node's own.
	perCodePair    = rate{5, time.Minute}
	perCodeAccount = rate{20, 5 * time.Minute}
	// perCeremony is for what is begun without a name: each page of sign-in begins one,
	// and a crowd may sit behind one address.
	perCeremony = rate{300, 100 * time.Millisecond}
	// perReset is how often links are asked for from one address, perLetter how often
	// one account is written to, whoever asks.
	perReset  = rate{20, 30 * time.Second}
	perLetter = rate{3, 10 * time.Minute}
	// perAlarm is how often it is said that an account is under attack.
	perAlarm = rate{1, time.Hour}
)

// Limits throttle tries before anything is hashed. Each try counts against the
// pair of account and address, the account, and the address. They are this process's:
// where several nodes serve, somebody may try a password at each of them, which is
// why passwords that are easily guessed are not taken in the first place.
//
// A stranger can use up what an account has from all addresses, but that is not
// asked of an address at which the account is signed in: its owner gets in.
type Limits struct {
	pair, account, address bucket
	codePair               bucket
	ceremony, alarm, note  bucket
	reset, letters         bucket
}

// NewLimits returns limits under which nobody has tried anything yet.
func NewLimits() *Limits {
	return &Limits{pair: newBucket(perPair), account: newBucket(perAccount), address: newBucket(perAddress),
		codePair: newBucket(perCodePair), ceremony: newBucket(perCeremony), alarm: newBucket(perAlarm), note: newBucket(perNote),
		reset: newBucket(perReset), letters: newBucket(perLetter)}
}

// try counts one try and returns how to give it back. known is asked only when
// the account's own limit is what refuses. Kinds: Limited, with *TooMany; with
// errAttacked too when it is the account's limit.
func (l *Limits) try(account, ip string, now time.Time, known func() (bool, error)) (giveBack func(), err error) {
	of := directory.FoldName(account)
	return l.within(&l.pair, allowance{
		take:     func() (time.Time, error) { return l.account.take(of, now), nil },
		giveBack: func() { l.account.giveBack(of) },
	}, account, ip, now, known)
}

// allowance is what an account has from all addresses together.
type allowance struct {
	take     func() (until time.Time, err error)
	giveBack func()
}

// within is try by the limits of a pair and of an account.
func (l *Limits) within(perPair *bucket, all allowance, account, ip string, now time.Time, known func() (bool, error)) (giveBack func(), err error) {
	account, from := directory.FoldName(account), network(ip)
	if until := l.address.take(from, now); !until.IsZero() {
		return nil, tooMany(until)
	}
	if until := perPair.take(account+"\x00"+from, now); !until.IsZero() {
		return nil, tooMany(until)
	}
	counted := true
	until, err := all.take()
	if err != nil {
		return nil, err
	}
	if !until.IsZero() {
		counted = false
		if ok, err := known(); err != nil {
			return nil, err
		} else if !ok {
			return nil, errors.Join(tooMany(until), errAttacked)
		}
	}
	return func() {
		l.address.giveBack(from)
		perPair.giveBack(account + "\x00" + from)
		if counted {
			all.giveBack()
		}
	}, nil
}

// network is what counts as one address: an IPv4 address, or the /64 of an IPv6
// one, of which every household has all.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		ap, err := netip.ParseAddrPort(ip)
		if err != nil {
			return ip
		}
		a = ap.Addr()
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

// maxKeys bounds a bucket's memory, to about 1 MiB.
const maxKeys = 32768

// sampled is how many keys are looked at to make room for a new one.
const sampled = 16

// bucket is one token bucket for each key, in the form of the instant at which
// the key's bucket will be full again (GCRA). One lock is enough: what follows a
// take costs 100,000 times more.
type bucket struct {
	rate rate
	seed maphash.Seed
	mu   *sync.Mutex
	full map[uint64]int64 // guarded by mu: hashed key to nanoseconds of Unix time
}

func newBucket(r rate) bucket {
	return bucket{rate: r, seed: maphash.MakeSeed(), mu: &sync.Mutex{}, full: map[uint64]int64{}}
}

// take counts one try, or returns when the next one is let through. What is
// refused is not counted: waiting always helps.
func (b *bucket) take(key string, now time.Time) (until time.Time) {
	k, at := maphash.String(b.seed, key), now.UnixNano()
	every := b.rate.every.Nanoseconds()
	b.mu.Lock()
	defer b.mu.Unlock()
	full, there := b.full[k]
	next := max(full, at) + every
	if ready := next - int64(b.rate.burst)*every; ready > at {
		return time.Unix(0, ready)
	}
	if !there && len(b.full) >= maxKeys {
		b.makeRoom()
	}
	b.full[k] = next
	return time.Time{}
}

// makeRoom drops, of a few keys in random order, the one that owes least: in a
// flood of keys with one try each, those with many are what is remembered.
func (b *bucket) makeRoom() {
	var drop uint64
	least, seen := int64(0), 0
	for k, full := range b.full {
		if seen == 0 || full < least {
			drop, least = k, full
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(b.full, drop)
}

func (b *bucket) giveBack(key string) {
	k := maphash.String(b.seed, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if full, there := b.full[k]; there {
		b.full[k] = full - b.rate.every.Nanoseconds()
	}
}
