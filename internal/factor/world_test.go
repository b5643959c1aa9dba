package factor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"

	"errors"
)

const (
	base     = "https://id.contoso.example"
	secret   = "otter window lilac 41"
	ordinary = "192.0.2.7"
)

// clock is moved by tests only.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.UnixMicro(c.at.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.at.Add(d.Microseconds()) }
func (c *clock) nextStep()           { c.add(period * time.Second) }

// house is a service on a real database.
type house struct {
	*Service
	t     *testing.T
	clock *clock
	hash  string // of secret
	mu    sync.Mutex
	told  []Notice
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}}
	h.clock.at.Store(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixMicro())
	db, err := store.Open(t.Context(), store.Config{URL: url, Now: h.clock.now, Poll: 5 * time.Millisecond})
	h.must(err)
	t.Cleanup(func() { db.Close() })
	k, err := keys.Open(t.Context(), db, make([]byte, 32), h.clock.now)
	h.must(err)
	l := grant.DefaultLifetimes()
	r := &revoke.Service{DB: db, Lifetimes: l, Now: h.clock.now}
	in := &signin.Service{DB: db, Revoke: r, Lifetimes: l, Now: h.clock.now, Hasher: signin.NewHasher(), Limits: signin.NewLimits()}
	h.hash, err = in.Hasher.Hash(t.Context(), secret, true)
	h.must(err)
	h.Service = &Service{DB: db, Keys: k, SignIn: in, Revoke: r, Base: base, Name: func() string { return "Contoso" },
		Tell: func(n Notice) { h.mu.Lock(); defer h.mu.Unlock(); h.told = append(h.told, n) }}
	h.person("root", role.GlobalAdministrator)
	return h
}

// onBoth runs one body on SQLite and on PostgreSQL.
func onBoth(t *testing.T, body func(t *testing.T, h *house)) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return filepath.Join(t.TempDir(), "curfew.db") }, "postgres": func(t *testing.T) string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body(t, newHouse(t, url(t)))
		})
	}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%v (%s)", err, fault.Public(err))
	}
}

// person creates somebody with the password and returns them as an actor.
func (h *house) person(name string, roles ...directory.RoleID) directory.Actor {
	h.t.Helper()
	u := &directory.User{ID: directory.NewID[directory.User](h.clock.now()), Name: name + "@contoso.example", DisplayName: name, Enabled: true, Created: h.clock.now(),
		Password: directory.Credential{Hash: h.hash, Version: 1, Changed: h.clock.now()}}
	h.must(h.DB.Update(h.t.Context(), func(tx *store.Tx) error {
		if err := tx.CreateUser(u); err != nil {
			return err
		}
		for _, r := range roles {
			if err := tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](tx.Now), Role: r, User: u.ID, Created: tx.Now}); err != nil {
				return err
			}
		}
		return nil
	}))
	return directory.Actor{User: u.ID, Name: u.Name, Born: 1 << 50}
}

func (h *house) signIn(name string) *signin.Signed { return h.signInFrom(name, ordinary) }

func (h *house) signInFrom(name, ip string) *signin.Signed {
	h.t.Helper()
	in, must, err := h.SignIn.Password(h.t.Context(), signin.Attempt{Username: name + "@contoso.example", Password: secret, IP: ip})
	h.must(err)
	if must != nil {
		h.t.Fatal("must change")
	}
	return in
}

// live is whether a cookie is somebody's.
func (h *house) live(cookie string) bool {
	h.t.Helper()
	_, err := h.SignIn.Session(h.t.Context(), cookie, ordinary)
	if err != nil && !fault.Is(err, fault.Revoked) && !fault.Is(err, fault.Unauthenticated) {
		h.t.Fatal(err)
	}
	return err == nil
}

// again is who is behind a cookie.
func (h *house) at(cookie string) *signin.Signed {
	h.t.Helper()
	in, err := h.SignIn.Session(h.t.Context(), cookie, ordinary)
	h.must(err)
	in.Cookie = cookie
	return in
}

// app registers an authenticator app and returns its secret.
func (h *house) app(in *signin.Signed) []byte {
	h.t.Helper()
	n, err := h.BeginTOTP(h.t.Context(), in)
	h.must(err)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(n.Secret)
	h.must(err)
	_, err = h.FinishTOTP(h.t.Context(), in, n.Ticket, hotp(key, stepAt(h.clock.now())), "Phone")
	h.must(err)
	return key
}

// code is the app's next code, one that was not used.
func (h *house) code(key []byte) string {
	h.clock.nextStep()
	return hotp(key, stepAt(h.clock.now()))
}

// want checks an error's kind and the sentinel behind it.
func want(t *testing.T, err error, k fault.Kind, is error) {
	t.Helper()
	if !fault.Is(err, k) || is != nil && !errors.Is(err, is) {
		t.Errorf("%v (kind %v), want %v with %v", err, fault.KindOf(err), k, is)
	}
}

func wantProve(t *testing.T, err error, second bool) {
	t.Helper()
	var p *Prove
	if !fault.Is(err, fault.Denied) || !errors.As(err, &p) || p.Second != second {
		t.Errorf("%v, want that it is to be proven again (second %v)", err, second)
	}
}

func isDead(err error, c standing.Cause) bool {
	var d *standing.Dead
	return errors.As(err, &d) && d.Has(c)
}

// actions are what the audit log says was done to somebody, oldest first.
func (h *house) actions(a directory.Actor) (all []string) {
	h.t.Helper()
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Audits(manage.AuditQuery{Target: a.User.String(), Limit: 100})
		for _, r := range rows {
			all = append(all, strings.TrimSuffix(r.Action+" "+string(r.Result), " success"))
		}
		return err
	}))
	slices.Reverse(all)
	return all
}

// authenticator is a passkey in software.
type authenticator struct {
	t       *testing.T
	id      []byte
	key     *ecdsa.PrivateKey
	handle  []byte
	counter uint32
	origin  string
	verify  bool // it verifies its owner
}

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &authenticator{t: t, id: id, key: k, origin: base, verify: true}
}

type options struct {
	Challenge string `json:"challenge"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	RPID             string `json:"rpId"`
	UserVerification string `json:"userVerification"`
	AllowCredentials []struct {
		ID string `json:"id"`
	} `json:"allowCredentials"`
	Exclude []struct {
		ID string `json:"id"`
	} `json:"excludeCredentials"`
	Attestation            string `json:"attestation"`
	AuthenticatorSelection struct {
		ResidentKey      string `json:"residentKey"`
		UserVerification string `json:"userVerification"`
	} `json:"authenticatorSelection"`
}

func read64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var b64 = base64.RawURLEncoding.EncodeToString

func (a *authenticator) options(c *Ceremony) (o options) {
	a.t.Helper()
	if err := json.Unmarshal(c.Options, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

func (a *authenticator) data(rp string, attested bool) []byte {
	flags := byte(1)
	if a.verify {
		flags |= 4
	}
	if attested {
		flags |= 64
	}
	sum := sha256.Sum256([]byte(rp))
	out := append(sum[:], flags)
	out = binary.BigEndian.AppendUint32(out, a.counter)
	if !attested {
		return out
	}
	p, err := a.key.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	cose, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve: int64(webauthncose.P256), XCoord: p[1:33], YCoord: p[33:]})
	if err != nil {
		a.t.Fatal(err)
	}
	out = append(out, make([]byte, 16)...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(a.id)))
	return append(append(out, a.id...), cose...)
}

func (a *authenticator) client(what, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": what, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// create makes the passkey, as a browser's toJSON says it.
func (a *authenticator) create(c *Ceremony) []byte {
	a.t.Helper()
	o := a.options(c)
	a.handle = read64(a.t, o.User.ID)
	att, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": a.data(o.RP.ID, true)})
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}},
		"response": map[string]any{"clientDataJSON": b64(a.client("webauthn.create", o.Challenge)), "attestationObject": b64(att), "transports": []string{"internal"}}})
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// get answers a challenge.
func (a *authenticator) get(c *Ceremony) []byte {
	a.t.Helper()
	o := a.options(c)
	a.counter++
	data, client := a.data(o.RPID, false), a.client("webauthn.get", o.Challenge)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(slices.Clone(data), sum[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(a.handle)}})
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// passkey registers one.
func (h *house) passkey(in *signin.Signed) *authenticator {
	h.t.Helper()
	a := newAuthenticator(h.t)
	c, err := h.BeginPasskey(h.t.Context(), in)
	h.must(err)
	_, err = h.FinishPasskey(h.t.Context(), in, c.Ticket, a.create(c), "Laptop")
	h.must(err)
	return a
}
