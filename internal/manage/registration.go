package manage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/role"
)

// Protocol is the part of a registration that says how an application proves who
// it is, what its tokens are bound to and who is told of a logout. Nil leaves
// alone, a list replaces the list.
type Protocol struct {
	SPARedirectURIs *[]string
	Keys            *[]string // public JWKs
	// NamedKeys are Keys with what people call them and when they end; of each entry
	// JWK, Name, GUID and Expires are read. One of both.
	NamedKeys               *[]directory.AppKey
	KeysURI                 *string // jwks_uri
	Refresh                 *directory.RefreshMode
	GrantAbsolute           *time.Duration // zero: never
	RequirePAR, RequireDPoP *bool
	SigningAlg              *string
	BackChannelLogoutURI    *string
	BackChannelSession      *bool
	FrontChannelLogoutURI   *string
	FrontChannelSession     *bool
}

// patchProtocol writes p into a; was is what was there before. A new key is a new
// credential: whoever gives one needs the right to give secrets.
func (c *step) patchProtocol(a, was *directory.App, p *Protocol, activity string) error {
	set(&a.SPARedirectURIs, p.SPARedirectURIs)
	set(&a.Refresh, p.Refresh)
	set(&a.GrantAbsolute, p.GrantAbsolute)
	set(&a.RequirePAR, p.RequirePAR)
	set(&a.RequireDPoP, p.RequireDPoP)
	set(&a.SigningAlg, p.SigningAlg)
	set(&a.BackChannelLogoutURI, p.BackChannelLogoutURI)
	set(&a.BackChannelSession, p.BackChannelSession)
	set(&a.FrontChannelLogoutURI, p.FrontChannelLogoutURI)
	set(&a.FrontChannelSession, p.FrontChannelSession)
	set(&a.KeysURI, p.KeysURI)
	if p.NamedKeys != nil {
		jwks := []string{}
		for _, k := range *p.NamedKeys {
			jwks = append(jwks, k.JWK)
		}
		keys, err := c.appKeys(was.Keys, jwks)
		if err != nil {
			return err
		}
		for i, k := range *p.NamedKeys {
			if err := directory.CheckText("The name of the key", k.Name, 120); err != nil {
				return err
			}
			keys[i].Name, keys[i].GUID, keys[i].Expires = k.Name, k.GUID, k.Expires.UTC()
		}
		a.Keys = keys
	}
	if p.Keys != nil {
		keys, err := c.appKeys(was.Keys, *p.Keys)
		if err != nil {
			return err
		}
		a.Keys = keys
	}
	if a.KeysURI == was.KeysURI && slices.Equal(keyIDs(a), keyIDs(was)) {
		return nil
	}
	target, err := c.appTarget(was)
	if err != nil {
		return err
	}
	return c.allow(activity, audit.Party{Kind: "app", ID: string(a.ID), Name: string(a.ID)}, string(a.ID), role.UpdateAppKeys, target)
}

// appKeys checks public keys and names each by its SHA-256. One that was there
// before keeps its row.
func (c *step) appKeys(have []directory.AppKey, jwks []string) ([]directory.AppKey, error) {
	if len(jwks) > maxSecrets {
		return nil, invalid("An application has at most 10 keys.")
	}
	out := []directory.AppKey{}
	for _, text := range jwks {
		var b bytes.Buffer
		if len(text) > proof.MaxKeySet || json.Compact(&b, []byte(text)) != nil {
			return nil, invalid("A key of an application is a JWK, a JSON object.")
		}
		// A private key is refused as well, and never repeated.
		if set, err := proof.NewKeys(json.RawMessage(b.Bytes())); err != nil || set.Len() != 1 {
			return nil, invalid("A key of an application is a public JWK for signatures: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, without its private half.")
		}
		sum := sha256.Sum256(b.Bytes())
		k := directory.AppKey{ID: base64.RawURLEncoding.EncodeToString(sum[:]), JWK: b.String(), Created: c.Now}
		if i := slices.IndexFunc(have, func(x directory.AppKey) bool { return x.JWK == k.JWK }); i >= 0 {
			k = have[i]
		}
		if slices.ContainsFunc(out, func(x directory.AppKey) bool { return x.JWK == k.JWK }) {
			return nil, invalid("A key is there twice.")
		}
		out = append(out, k)
	}
	return out, nil
}

func keyIDs(a *directory.App) (out []string) {
	for _, k := range a.Keys {
		out = append(out, k.ID)
	}
	return out
}
