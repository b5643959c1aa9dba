package issue

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
)

// ACR says that somebody signed in, as Entra's 1 does; amr says how ("mfa" where both factors were given), acrs which
// contexts of policies hold. Every token says so (OpenID Connect Core 1.0 §2).
const ACR = "1"

// everybodys are the scopes that every application may ask for.
var everybodys = slices.Concat(oidcScopes, directory.ClaimScopes())

// Ask adds claims that were asked for one by one, but for those of userinfo that a scope gives anyway; with openid only.
func (p *Plan) Ask(names []string) {
	if !slices.Contains(p.OIDC, "openid") {
		return
	}
	for _, n := range names {
		if !slices.ContainsFunc(directory.Claims, func(c directory.Claim) bool {
			return n == directory.InUserinfo+c.Name && slices.Contains(p.OIDC, c.Scope)
		}) {
			p.OIDC = append(p.OIDC, n)
			p.add(directory.OwnAPI, []string{n})
		}
	}
	p.Scopes = p.All[0].Scopes
}
