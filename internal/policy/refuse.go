package policy

import "encoding/json"

// Place is where a verdict is told.
type Place uint8

// The places: the token endpoint, and the redirect back to an application that
// asked with prompt=none or that nothing can help.
const (
	AtRefresh Place = iota
	AtAuthorize
)

// Refusal is a verdict as Entra's clients know it (reference: entra.md §6).
type Refusal struct {
	Number   int    // AADSTS
	Error    string // OAuth's
	Suberror string // what Microsoft's clients go by; empty: none
	Text     string // for error_description. It has no word that clients search it for.
	// Claims is what the client is to send to authorize, so that the policies that
	// refused are met there; empty: none. Policies are their ids.
	Claims   string
	Policies []string
}

// refusalRow: the first row of which something is needed names the refusal. A
// block comes first, then what the person can do nothing about in the browser,
// then what has to be done first there.
type refusalRow struct {
	number    int
	authorize string // the error there
	suberror  string
	text      string
	when      func(s *Set, f *Facts, v *Verdict) bool
}

func needs(n Needs) func(*Set, *Facts, *Verdict) bool {
	return func(_ *Set, _ *Facts, v *Verdict) bool { return v.Needs&n != 0 }
}

// refusals is the table. At the token endpoint the error is invalid_grant
// throughout, as on Entra's v2 endpoint, where only the suberror tells them apart.
//
// Not known from the wire and therefore ours: the suberrors of 50097, 50005,
// 53000, 53001 (additional_action: the remedy lies outside the browser), 50142
// and 50158 (basic_action).
var refusals = []refusalRow{
	{53003, "access_denied", "message_only", "Access has been blocked by conditional access policies.",
		func(_ *Set, _ *Facts, v *Verdict) bool { return v.Decision == Block }},
	{50097, "interaction_required", "additional_action", "A policy lets registered devices in only, and this one was not recognised.",
		func(_ *Set, f *Facts, v *Verdict) bool { return v.Needs&deviceBits != 0 && f.Device.ID.IsZero() }},
	{50005, "interaction_required", "additional_action", "A policy judges devices, and this one does not say which platform it is.",
		func(_ *Set, f *Facts, v *Verdict) bool { return v.Needs&deviceBits != 0 && f.Platform == 0 }},
	{53000, "interaction_required", "additional_action", "A policy demands a compliant device, and this one is not.", needs(NeedCompliantDevice)},
	{53001, "interaction_required", "additional_action", "A policy demands a device that is joined to the domain, and this one is not.", needs(NeedHybridDevice)},
	{70043, "invalid_grant", "token_expired", "The refresh token is older than the sign-in frequency that a policy sets.", nil}, // at refresh
	{70044, "login_required", "", "The session is older than the sign-in frequency that a policy sets.", needs(NeedSignIn | NeedSecond)},
	{50142, "interaction_required", "basic_action", "A policy demands that the password is changed.", needs(NeedPasswordChange)},
	{50079, "interaction_required", "basic_action", "A policy demands stronger authentication, and the account has no method for it yet.",
		func(s *Set, f *Facts, v *Verdict) bool {
			strong := v.Needs & (NeedMFA | strengthBits)
			return strong != 0 && !s.canGive(strong, f.Registered)
		}},
	{50076, "interaction_required", "basic_action", "A policy demands stronger authentication.", needs(NeedMFA | strengthBits)},
	{50158, "interaction_required", "basic_action", "A policy demands that terms of use are accepted.", needs(termBits)},
}

// canGive reports whether all of some demands for methods can be met with those.
func (s *Set) canGive(n Needs, have Methods) bool {
	return n&^s.given(&Facts{Methods: have}) == 0
}

// Enough reports whether methods meet all that is demanded of methods.
func (s *Set) Enough(n Needs, m Methods) bool { return s.canGive(n&(NeedMFA|strengthBits), m) }

// Stronger reports whether something is demanded of methods at all.
func (s *Set) Stronger(n Needs) bool { return n&(NeedMFA|strengthBits) != 0 }

// Refuse says how a verdict is told; false: it allows.
func (s *Set) Refuse(f *Facts, v *Verdict, at Place) (Refusal, bool) {
	if v.Decision == Allow {
		return Refusal{}, false
	}
	var row refusalRow
	for i, r := range refusals {
		if r.when != nil && r.when(s, f, v) {
			if row = r; r.number == 70044 && at == AtRefresh {
				row = refusals[i-1]
			}
			break
		}
	}
	out := Refusal{Number: row.number, Error: row.authorize, Suberror: row.suberror, Text: row.text}
	if at == AtRefresh {
		out.Error = "invalid_grant"
	}
	open := v.unmet.and(s.on)
	for i := open.next(0); i >= 0; i = open.next(i + 1) {
		out.Policies = append(out.Policies, s.policies[i].ID)
	}
	if len(out.Policies) > 0 {
		b, _ := json.Marshal(map[string]any{"access_token": map[string]any{"capolids": map[string]any{"essential": true, "values": out.Policies}}}) // strings always have a form
		out.Claims = string(b)
	}
	return out, true
}
