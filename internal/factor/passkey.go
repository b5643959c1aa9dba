package factor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// maxResponse bounds what a browser says of a ceremony, in bytes.
const maxResponse = 64 << 10

// Ceremony is what a page asks the browser for a passkey with.
type Ceremony struct {
	Ticket string // to come back with
	// Options are the members of PublicKeyCredentialCreationOptionsJSON or
	// PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3 §5.1), for parse…FromJSON.
	Options json.RawMessage
}

// key is what is stored of a passkey.
type key struct {
	ID        []byte                            `json:"id"`
	Public    []byte                            `json:"public"` // COSE
	AAGUID    []byte                            `json:"aaguid,omitempty"`
	Transport []protocol.AuthenticatorTransport `json:"transport,omitempty"`
	Eligible  bool                              `json:"eligible,omitempty"` // for backup; never changes
	Synced    bool                              `json:"synced,omitempty"`   // it is backed up
}

func keyOf(m *directory.Method) key { return read[key](m) }

// model is the AAGUID as a UUID; empty: the authenticator does not say.
func (k key) model() string {
	var id directory.MethodID
	if len(k.AAGUID) != len(id) {
		return ""
	}
	if copy(id[:], k.AAGUID); id.IsZero() {
		return ""
	}
	return id.String()
}

func (k key) credential(counter int64) webauthn.Credential {
	return webauthn.Credential{ID: k.ID, PublicKey: k.Public, Transport: k.Transport, AttestationType: "none", AttestationFormat: "none",
		Flags:         webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: k.Eligible, BackupState: k.Synced},
		Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID, SignCount: uint32(counter)}}
}

// owner is a person as the library wants to see one. The user handle is the object
// id, which says nothing about who that is.
type owner struct {
	user *directory.User
	keys []webauthn.Credential
}

func (o *owner) WebAuthnID() []byte                         { return o.user.ID[:] }
func (o *owner) WebAuthnName() string                       { return o.user.Name }
func (o *owner) WebAuthnDisplayName() string                { return o.user.DisplayName }
func (o *owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

func ownerOf(u *directory.User, all []*directory.Method) *owner {
	o := &owner{user: u}
	for _, m := range all {
		if m.Kind == directory.MethodPasskey {
			o.keys = append(o.keys, keyOf(m).credential(m.Counter))
		}
	}
	return o
}

func (s *Service) host() string {
	u, err := url.Parse(s.Base)
	if err != nil {
		return s.Base
	}
	return u.Hostname()
}

// party is this server as passkeys know it: the host of the public URL, at that
// origin only. Kinds: Conflict, where that is no name (WebAuthn Level 3 §5.1.2).
func (s *Service) party() (*webauthn.WebAuthn, error) {
	w, err := webauthn.New(&webauthn.Config{RPID: s.host(), RPDisplayName: s.name(), RPOrigins: []string{s.Base}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired},
		// Some password managers say more than they were asked. Nothing of it is read.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore})
	if err == nil {
		err = protocol.ValidateRPID(s.host())
	}
	if err != nil {
		return nil, fault.Wrap(fault.Conflict, "Passkeys need a server that is reached by a name.", err)
	}
	return w, nil
}

// BeginPasskey begins to register a passkey: one that verifies its owner and can be
// found without a user name. Kinds: Unauthenticated, Revoked, Denied with *Prove,
// Conflict, Unavailable.
func (s *Service) BeginPasskey(ctx context.Context, signed *signin.Signed) (*Ceremony, error) {
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	c := &Ceremony{}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		now, all, err := s.mayAdd(tx, signed, directory.MethodPasskey, maxPasskeys)
		if err != nil {
			return err
		}
		o := ownerOf(now.User, all)
		var have []protocol.CredentialDescriptor
		for _, k := range o.keys {
			have = append(have, k.Descriptor())
		}
		creation, web, err := party.BeginRegistration(o, webauthn.WithExclusions(have))
		if err != nil {
			return fmt.Errorf("begin a registration: %w", err)
		}
		return c.open(tx, enrolPasskey, now.User.ID, creation.Response, errand{Session: now.Session.ID, Web: web})
	})
	return c.orNil(err)
}

// open fills the ceremony in and stores its ticket.
func (c *Ceremony) open(tx *store.Tx, kind string, user directory.UserID, options any, e errand) (err error) {
	if c.Options, err = json.Marshal(options); err == nil {
		c.Ticket, err = begin(tx, kind, user, e)
	}
	return err
}

func (c *Ceremony) orNil(err error) (*Ceremony, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// FinishPasskey registers the passkey that the browser has made; response is its
// toJSON. Kinds: Unauthenticated with ErrPasskey, Revoked with *standing.Dead (the
// ticket is not good), Denied with *Prove, Invalid (the name), Conflict, Limited,
// Unavailable.
func (s *Service) FinishPasskey(ctx context.Context, signed *signin.Signed, ticket string, response []byte, name string) (*Done, error) {
	name, err := cleanName(name, "Passkey")
	if err != nil {
		return nil, err
	}
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	if len(response) > maxResponse {
		return nil, notPasskey(errors.New("too long"))
	}
	made, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, notPasskey(err)
	}
	done, err := s.finish(ctx, signed, enrolPasskey, ticket, func(tx *store.Tx, now *signin.Signed, all []*directory.Method, e *errand) (*directory.Method, error) {
		if err := room(all, directory.MethodPasskey, maxPasskeys); err != nil {
			return nil, err
		}
		if e.Web == nil {
			return nil, ticketOver()
		}
		// Without attestation there is a hash here and no signature.
		cred, err := party.CreateCredential(ownerOf(now.User, all), *e.Web, made)
		if err != nil {
			return nil, notPasskey(err)
		}
		m := &directory.Method{Kind: directory.MethodPasskey, Name: name, Lookup: sha256.Sum256(cred.ID), Counter: int64(cred.Authenticator.SignCount)}
		fill(m, key{ID: cred.ID, Public: cred.PublicKey, AAGUID: cred.Authenticator.AAGUID, Transport: cred.Transport,
			Eligible: cred.Flags.BackupEligible, Synced: cred.Flags.BackupState})
		return m, nil
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, fault.Wrap(fault.Conflict, "This passkey is registered already.", err)
	}
	return done, err
}

func notPasskey(cause error) error {
	return fault.Wrap(fault.Unauthenticated, "The passkey was not accepted.", errors.Join(ErrPasskey, hidden(cause)))
}

// hidden is an error of the library with what it says to developers, for logs.
func hidden(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return fmt.Errorf("%w (%s)", err, e.DevInfo)
	}
	return err
}

// nobodysKey is the public half of a key that nobody has: an assertion of a passkey
// that is not registered is compared with it, so that the answer takes as long.
var nobodysKey = sync.OnceValue(func() []byte {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	b, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: p[1:33], YCoord: p[33:]})
	if err != nil {
		panic(err)
	}
	return b
})

// shown is a passkey that was shown, as it was stored when the signature was checked.
type shown struct {
	method *directory.Method
	user   *directory.User
	web    *webauthn.Credential // as it is after this
}

// check verifies an assertion against the challenge of a ticket and the passkey as it
// is stored, outside any transaction. Nothing is used up. The user is who the ticket
// is for, or with a ticket for nobody whose passkey it is.
func (s *Service) check(ctx context.Context, kind, ticket string, session directory.SessionID, browser string, response []byte) (*shown, error) {
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	if len(response) > maxResponse {
		return nil, notPasskey(errors.New("too long"))
	}
	said, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, notPasskey(err)
	}
	var e *errand
	x := &shown{}
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		var t *store.Ticket
		x.method, x.user = nil, nil
		if t, e, err = find(tx, kind, ticket, session, browser); err != nil {
			return err
		}
		m, err := tx.MethodByLookup(sha256.Sum256(said.RawID))
		if errors.Is(err, store.ErrNotFound) || err == nil && !t.User.IsZero() && m.User != t.User {
			return nil
		}
		if err != nil {
			return err
		}
		x.method = m
		if x.user, err = tx.User(m.User); errors.Is(err, store.ErrNotFound) {
			x.method, err = nil, nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if e.Web == nil {
		return nil, ticketOver()
	}
	o := &owner{user: &directory.User{}}
	if x.method != nil {
		o = ownerOf(x.user, []*directory.Method{x.method})
	} else {
		copy(o.user.ID[:], said.Response.UserHandle)
		o.keys = []webauthn.Credential{{ID: said.RawID, PublicKey: nobodysKey(), Flags: webauthn.NewCredentialFlags(said.Response.AuthenticatorData.Flags)}}
	}
	web := *e.Web
	web.AllowedCredentialIDs = nil // whose it may be is the ticket's to say
	if len(web.UserID) == 0 {
		_, x.web, err = party.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) { return o, nil }, web, said)
	} else {
		web.UserID = o.WebAuthnID()
		x.web, err = party.ValidateLogin(o, web, said)
	}
	switch {
	case err != nil:
		return nil, notPasskey(err)
	case x.method == nil:
		return nil, notPasskey(errors.New("a signature of a key that nobody has"))
	}
	return x, nil
}

// accept uses the passkey that check has verified: the row must be as it was then. A
// counter that went back means that somebody has a copy of the key; then nobody knows
// who this is.
func (x *shown) accept(tx *store.Tx) error {
	m, err := tx.MethodByLookup(x.method.Lookup)
	if errors.Is(err, store.ErrNotFound) {
		return notPasskey(errors.New("removed meanwhile"))
	}
	if err != nil {
		return err
	}
	k := keyOf(m)
	if m.User != x.method.User || m.Counter != x.method.Counter || !sameKey(k, keyOf(x.method)) {
		return notPasskey(errors.New("changed meanwhile"))
	}
	if x.web.Authenticator.CloneWarning {
		return fault.Wrap(fault.Denied, "This passkey's counter went back: there may be a copy of it. Use another way to sign in, and remove it.", errCloned)
	}
	k.Synced = x.web.Flags.BackupState
	m.Counter, m.Used = int64(x.web.Authenticator.SignCount), tx.Now
	fill(m, k)
	return tx.UseMethod(m)
}

var errCloned = errors.New("the counter of a passkey went back")

func sameKey(a, b key) bool {
	return hex.EncodeToString(a.ID) == hex.EncodeToString(b.ID) && hex.EncodeToString(a.Public) == hex.EncodeToString(b.Public) && a.Eligible == b.Eligible
}
