package webkit

import (
	"errors"
	"net/http"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
)

// The visits that policies are asked about. Who only looks for the session that is
// there, or ends something of their own, visits nothing: nil.
var (
	ToAccount = &signin.Visit{App: access.Account}
	ToProofs  = &signin.Visit{Action: policy.RegisterSecurityInfo} // to what the account is proven by
)

// Visitor is who is signed in in this browser; nil: nobody is. Whom policies keep
// from what is visited gets the error of that; nil asks no policy. Kinds: as
// signin.Service.Visit, without those that come to nobody.
func Visitor(r *http.Request, s *signin.Service, secure bool, to *signin.Visit) (signed *signin.Signed, err error) {
	c := ReadSession(r, secure)
	if c == "" {
		return nil, nil
	}
	if to == nil {
		signed, err = s.Session(r.Context(), c, Address(r))
	} else {
		v := *to
		v.IP, v.Agent = Address(r), r.UserAgent()
		signed, err = s.Visit(r.Context(), c, v)
	}
	refused := (*access.Refused)(nil)
	switch kind := fault.KindOf(err); {
	case err != nil && (kind == fault.Unauthenticated || kind == fault.Revoked) && !errors.As(err, &refused):
		return nil, nil
	case err != nil:
		return nil, err
	}
	signed.Actor.Request = RequestID(r.Context())
	return signed, nil
}
