package directory

// Claim is a fact about a person under OpenID Connect's name for it (Core 1.0
// §5.1), which an application may ask for alone, without the others of its scope.
type Claim struct {
	Name  string
	Scope string // that gives it to userinfo with others
	text  string
	Of    func(*User) string // empty: not known
}

// InUserinfo and InIDToken say where a claim goes. Before its name they make the
// scope of the directory's own API by which it is consented to and remembered.
const (
	InUserinfo = "userinfo:"
	InIDToken  = "id_token:"
)

// Claims are all there are.
var Claims = []Claim{
	{"name", "profile", "See your name", func(u *User) string { return u.DisplayName }},
	{"preferred_username", "profile", "See your user name", func(u *User) string { return u.Name }},
	{"given_name", "profile", "See your given name", func(u *User) string { return u.GivenName }},
	{"family_name", "profile", "See your family name", func(u *User) string { return u.Surname }},
	{"locale", "profile", "See your language", func(u *User) string { return u.Language }},
	{"email", "email", "See your mail address", func(u *User) string { return u.Mail }},
	{"phone_number", "phone", "See your mobile number", func(u *User) string { return u.Mobile }},
}

// ClaimScopes are the scopes of single claims.
func ClaimScopes() (all []string) {
	for _, c := range Claims {
		all = append(all, InUserinfo+c.Name, InIDToken+c.Name)
	}
	return all
}
