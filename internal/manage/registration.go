package manage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/role"
)

// Protocol is the part of a registration that says how an application proves who
// it is, what its tokens are bound to and who is told of a logout. Nil leaves
// alone, a list replaces the list.
type Protocol struct {
	SPARedirectURIs         *[]string
	Keys                    *[]string // public JWKs
	KeysURI                 *string   // jwks_uri
	Refresh                 *directory.RefreshMode
	GrantAbsolute           *time.Duration // zero: never
	RequirePAR, RequireDPoP *bool
	SigningAlg              *string
	BackChannelLogoutURI    *string
	BackChannelSession      *bool
	FrontChannelLogoutURI   *string
	FrontChannelSession     *bool
}

// Bounds of an absolute end.
const (
	minAbsolute = time.Hour
	maxAbsolute = 3650 * 24 * time.Hour
)

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

// checkProtocol checks what patchProtocol wrote, as it stands with the rest.
func checkProtocol(a *directory.App) error {
	if len(a.SPARedirectURIs) > maxURIs {
		return invalid("An application has at most 100 redirect URIs.")
	}
	for _, u := range a.SPARedirectURIs {
		if err := directory.CheckRedirectURI(u); err != nil {
			return err
		}
		if !onWeb(u) {
			return invalid("The redirect URI " + fault.Quote(u) + " of a browser-only application is https, or http to this machine.")
		}
		if slices.Contains(a.RedirectURIs, u) {
			return invalid("The redirect URI " + fault.Quote(u) + " is that of a browser-only application or another one's, not both.")
		}
	}
	if len(a.SPARedirectURIs) > 0 && !a.Public {
		return invalid("A browser-only application keeps no secret: make it public.")
	}
	if a.Public && (len(a.Keys) > 0 || a.KeysURI != "") {
		return invalid("A public application has no key to prove itself by.")
	}
	if len(a.Keys) > 0 && a.KeysURI != "" {
		return invalid("The keys of an application are in its registration or at its jwks_uri, not both.")
	}
	for _, x := range []struct{ name, uri string }{{"jwks_uri", a.KeysURI}, {"back-channel logout address", a.BackChannelLogoutURI}, {"front-channel logout address", a.FrontChannelLogoutURI}} {
		if x.uri == "" {
			continue
		}
		if err := directory.CheckRedirectURI(x.uri); err != nil || !onWeb(x.uri) {
			return invalid("The " + x.name + " must be an https address without fragment; http only to this machine.")
		}
	}
	if f := a.FrontChannelLogoutURI; f != "" && !slices.ContainsFunc(slices.Concat(a.RedirectURIs, a.SPARedirectURIs), func(u string) bool { return origin(u) == origin(f) }) {
		return invalid("The front-channel logout address must be at the origin of one of the redirect URIs (Front-Channel Logout 1.0 §2).")
	}
	switch a.Refresh {
	case "", directory.RefreshRotate, directory.RefreshStrict, directory.RefreshBound:
	default:
		return invalid("The refresh mode is rotate, strict or bound.")
	}
	if d := a.GrantAbsolute; d != 0 && (d < minAbsolute || d > maxAbsolute) {
		return invalid("The absolute end of a grant lies between one hour and ten years after the sign-in.")
	}
	return signingAlg(a.SigningAlg)
}

func signingAlg(alg string) error {
	if !directory.ValidSigningAlg(alg) {
		return invalid("Tokens are signed with ES256, RS256 or EdDSA.")
	}
	return nil
}

// onWeb reports whether a browser or this server can ask the address.
func onWeb(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// encryptionKey checks the key of a resource; empty: its tokens are not encrypted.
func encryptionKey(jwk string) error {
	if jwk == "" {
		return nil
	}
	_, err := directory.ParseEncryptionKey(jwk)
	return err
}
