package issue

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Credentials are what a client presents to prove who it is; a Client has.
type (
	Credentials = clientauth.Credentials
	Client      = clientauth.Client
)

// Client authenticates a client by what it is registered for. Kinds: Unauthenticated, Revoked (disabled), Unavailable.
func (s *Service) Client(ctx context.Context, c Credentials) (*Client, error) {
	r, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	if c.ID, err = clientauth.Named(c); err != nil {
		return nil, err
	}
	app := r.apps[c.ID]
	if app == nil {
		return nil, errClient
	}
	v := clientauth.Verifier{DB: s.DB, Issuer: s.Issuer(c.Issuer), TokenURLs: []string{s.Endpoint(c.Issuer, "token")}, Published: s.ClientKeys, Now: s.Now}
	if c.Directory != "" { // msal-node signs for the name it knows us by
		v.TokenURLs = append(v.TokenURLs, s.Base+"/"+c.Directory+"/oauth2/v2.0/token")
	}
	client, err := v.Verify(ctx, app, c)
	if errors.Is(err, clientauth.ErrDisabled) {
		err = dead([]standing.Cause{standing.AppDisabled})
	}
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Revoked) { // of a name that is nobody's nothing is kept
		e := &journal.Entry{Kind: journal.Service, Flow: "client", App: app.ID, AppName: app.Name, IP: c.IP}
		refused(e, err)
		s.Journal.Rarely(e)
	}
	return client, err
}

// MayRedeem refuses to redeem a code from a script on another site, unless it went to the redirect URI of a browser-only
// application; and such a code anywhere but in a script, which browsers say of themselves and other thieves do not think
// of. cross says that the request came with the origin of another site.
func MayRedeem(c *Client, redirect string, cross bool) error {
	switch spa := c.MatchSPARedirect(redirect); {
	case cross && !spa:
		return refuse(fault.Invalid, "invalid_request", 9002326, "", "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type: register the redirect URI as one.")
	case spa && !cross:
		return refuse(fault.Invalid, "invalid_request", 9002327, "", "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.")
	}
	return nil
}
