package registry

import (
	"cmp"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The words of the verbs in the addresses.
const (
	AddSecret         = "add-secret"
	RotateSecrets     = "rotate-secrets"
	RemoveSecret      = "remove-secret"
	AddOwner          = "add-owner"
	RemoveOwner       = "remove-owner"
	RequireAssignment = "require-assignment"
	LetEverybodyIn    = "let-everybody-in"
	Assign            = "assign"
	Unassign          = "unassign"
	EditRights        = "permissions"
	ConsentForAll     = "consent"
	WithdrawConsent   = "withdraw"
)

// Everybody stands for whom administrators consented, in an address.
const Everybody = "everybody"

// Find are the applications whose name, client_id or publisher holds what is
// searched for, and that are "enabled" or "disabled" (empty: either), by name.
func Find(all []*directory.App, query, status string) (found []*directory.App) {
	query = strings.ToLower(query)
	for _, a := range all {
		if strings.Contains(strings.ToLower(a.Name+"\n"+string(a.ID)+"\n"+a.Publisher), query) && (status == "" || a.Enabled == (status == "enabled")) {
			found = append(found, a)
		}
	}
	slices.SortStableFunc(found, func(a, b *directory.App) int {
		return strings.Compare(strings.ToLower(Name(a)), strings.ToLower(Name(b)))
	})
	return found
}

// Apps is the list of applications.
func (p Page) Apps(all []*directory.App, address func(string) string) *Table {
	t := NewTable("Applications", "Name", "Client id", "Kind", "Status", "Let in", "Last secret ends")
	for _, a := range all {
		who := "Everybody"
		if a.AssignmentRequired {
			who = "Who is assigned"
		}
		t.Add("", nil, Cell{Text: Name(a), URL: address(string(a.ID)), Wrap: true}, Mono(string(a.ID)), Text(Kind(a)), Cell{Mark: Enabled(a.Enabled)}, Text(who), p.secretEnd(a))
	}
	return t
}

// secretEnd is until when the application has a secret at all.
func (p Page) secretEnd(a *directory.App) Cell {
	if len(a.Secrets) == 0 {
		return Text("")
	}
	last := a.Secrets[0].Expires
	for _, x := range a.Secrets {
		if x.Expires.IsZero() {
			return Text("Never")
		}
		if x.Expires.After(last) {
			last = x.Expires
		}
	}
	return p.ends(last)
}

// Overview are the cards of facts.
func Overview(a *directory.App) (all []Card) {
	for _, f := range AppFacts(a) {
		all = append(all, Card{Title: f.Title, Facts: f.Rows})
	}
	if !a.Principal.IsZero() {
		all[0].Facts = append(all[0].Facts, Fact{"Own identity", []string{a.Principal.String()}, true, "The service account that its own tokens are about"})
	}
	return all
}

// Secrets are the cards of secrets and keys.
func (p Page) Secrets(a *directory.App) []Card {
	if a.Public {
		return []Card{{Title: "Secrets", Empty: "A public application keeps no secret. PKCE protects its codes."}}
	}
	card := Card{Title: "Secrets", Hint: webkit.Num(len(a.Secrets)) + " of 10", Empty: "No secret. Add one, or register a key: the application cannot prove who it is.", Acts: []Button{p.Offer(AddSecret, "")}}
	if len(a.Keys) > 0 || a.KeysURI != "" {
		card.Empty = "No secret. The application proves itself by its keys."
	}
	if len(a.Secrets) > 0 {
		card.Acts = append(card.Acts, p.Offer(RotateSecrets, ""))
		card.Note = "A secret is shown once, when it is made. Here stand its first characters, to tell it from others."
	}
	card.Table = NewTable("Secrets", "Begins with", "Made", "Ends", "Id")
	for _, x := range a.Secrets {
		card.Table.Add("beginning with "+x.Hint, []Button{p.Offer(RemoveSecret, x.ID)}, Mono(x.Hint+"…"), Text(p.When(x.Created)), p.ends(x.Expires), Mono(x.ID))
	}
	keys := Card{Title: "Keys", Empty: "No public keys.", Table: NewTable("Keys", "Id", "Registered", "Ends")}
	for _, k := range a.Keys {
		keys.Table.Add(k.ID, nil, Mono(k.ID), Text(p.When(k.Created)), p.ends(k.Expires))
	}
	if a.KeysURI != "" {
		keys.Facts, keys.Table, keys.Empty = []Fact{{"Published at", []string{a.KeysURI}, true, ""}}, nil, ""
	}
	return []Card{card, keys}
}

// Owners is the card of the owners.
func (p Page) Owners(a *directory.App, owners []*directory.User) []Card {
	card := Card{Title: "Owners", Note: "Owners change the registration, its secrets and who is assigned, without holding a role. Not what it holds as itself, nor whether it is enabled.",
		Empty: "Nobody owns it. Administrators of applications look after it.", Acts: []Button{p.Offer(AddOwner, "")}, Table: NewTable("Owners", "Name", "User name", "Status")}
	if a.FirstParty {
		card.Note = "It asks nobody for consent, so its owners have no rights: whoever changed where its codes go would have what everybody has."
	}
	for _, u := range owners {
		card.Table.Add(u.Name, []Button{p.Offer(RemoveOwner, u.ID.String())}, Cell{Text: cmp.Or(u.DisplayName, u.Name), URL: p.Person(u.ID)}, Mono(u.Name), Cell{Mark: Enabled(u.Enabled)})
	}
	return []Card{card}
}

// Assignments are the cards of who is let in.
func (p Page) Assignments(a *directory.App, all []manage.AppAssignment) []Card {
	need := Card{Title: "Who is let in", Facts: []Fact{{"Assignment required", []string{"No: everybody is let in"}, false, "What stands below matters once it is required."}}, Acts: []Button{p.Offer(RequireAssignment, "")}}
	if a.AssignmentRequired {
		need.Facts[0] = Fact{Label: "Assignment required", Values: []string{"Yes: only who stands below is let in"}}
		need.Acts = []Button{p.Offer(LetEverybodyIn, "")}
	}
	var roles []string
	for _, r := range a.Roles {
		if r.Users && !r.Disabled {
			roles = append(roles, r.Name)
		}
	}
	if len(roles) > 0 {
		need.Facts = append(need.Facts, Fact{"Roles it knows", roles, true, "What somebody can be assigned with"})
	}
	card := Card{Title: "Assignments", Hint: webkit.Num(len(all)), Acts: []Button{p.Offer(Assign, "")}, Empty: "Nobody is assigned.", Table: NewTable("Assignments", "Who", "Kind", "Role", "Since")}
	if len(all) == 0 && a.AssignmentRequired {
		card.Empty = "Nobody is assigned, so nobody is let in."
	}
	for _, x := range all {
		name, kind := Cell{Text: x.Name}, "Group"
		if !x.User.IsZero() {
			name.URL, kind = p.Person(x.User), "Person"
		}
		card.Table.Add("from "+x.Name, []Button{p.Offer(Unassign, x.ID.String())}, name, Text(kind), Text(x.Role), Text(p.When(x.Created)))
	}
	return []Card{need, card}
}

func permissionTable(caption, what string, ps []directory.Permission) *Table {
	t := NewTable(caption, "Resource", what)
	for _, x := range ps {
		t.Add("", nil, Mono(string(x.Resource)), Cell{Text: strings.Join(x.Scopes, ", "), Wrap: true})
	}
	return t
}

// Permissions are the cards of what it may ask for, holds and guards.
func (p Page) Permissions(a *directory.App) []Card {
	all := []Card{{Title: "What it may ask people for", Acts: []Button{p.Offer(EditRights, "")}, Empty: "Nothing but who they are.", Table: permissionTable("What it may ask people for", "Scopes", a.Permissions)}}
	if len(a.AppPermissions) > 0 {
		all = append(all, Card{Title: "What it holds as itself", Table: permissionTable("What it holds as itself", "Application roles", a.AppPermissions)})
	}
	if len(a.Guards) > 0 {
		t := NewTable("What it guards", "Resource")
		for _, g := range a.Guards {
			t.Add("", nil, Mono(string(g)))
		}
		all = append(all, Card{Title: "What it guards", Table: t})
	}
	return all
}

// Consents is the card of who consented. hidden says why people's own are not among
// them; empty: they are.
func (p Page) Consents(a *directory.App, all []manage.AppConsent, hidden string) Card {
	card := Card{Title: "Consent", Acts: []Button{p.Offer(ConsentForAll, "")}, Empty: "Nobody consented yet.", Table: NewTable("Consent", "Whose", "Resource", "Scopes", "Given")}
	if a.FirstParty {
		card.Note = "It is first-party and asks nobody for consent."
	}
	if hidden != "" {
		card.Note = strings.TrimSpace(card.Note + " Whether people consented is not yours to see. " + hidden)
	}
	for i, x := range all {
		who, part := Cell{Text: "Everybody", Sub: "an administrator consented"}, Everybody
		if !x.User.IsZero() {
			who, part = Cell{Text: x.Name, URL: p.Person(x.User)}, x.User.String()
		}
		var acts []Button
		if i == 0 || all[i-1].User != x.User { // one act takes back all of somebody's
			acts = []Button{p.Offer(WithdrawConsent, part)}
		}
		card.Table.Add("of "+who.Text, acts, who, Mono(string(x.Resource)), Cell{Text: strings.Join(x.Scopes, ", "), Wrap: true}, Text(p.When(x.Given)))
	}
	return card
}

// Grants is the card of who holds grants; revoke is the button for one of them.
func (p Page) Grants(a *directory.App, all []relay.GrantView, revoke func(relay.GrantView) Button) Card {
	card := Card{Title: "Grants", Hint: webkit.Num(len(all)) + " live", Note: "Also those of other applications that were made from one of its grants, on behalf of the person.", Empty: "Nobody has let it in.",
		Table: NewTable("Grants", "Whose", "Born", "Last used", "Ends by itself", "Access tokens in")}
	for _, g := range all {
		end, tail := g.Ends, ", if unused"
		if !g.Hard.IsZero() && !g.Hard.After(end) {
			end, tail = g.Hard, ""
		}
		who := Cell{Text: g.UserName, URL: p.Person(g.User)}
		if g.App != a.ID {
			who.Sub = "in " + cmp.Or(g.AppName, string(g.App))
		}
		var in []string
		for _, t := range g.Tokens {
			if !slices.Contains(in, t.ResourceName) {
				in = append(in, t.ResourceName)
			}
		}
		card.Table.Add("of "+g.UserName, []Button{revoke(g)}, who, Text(p.When(g.Created)), Text(p.Sec(g.LastUsed)), Text(p.Day(end)+tail), Text(webkit.And(in)))
	}
	return card
}

// OfUser are the cards of what somebody consented to and is assigned to.
func (p Page) OfUser(apps []*directory.App, consents []directory.Consent, assigned []manage.AppAssignment, address func(string) string, withdraw func(directory.Consent) Button, unassign func(manage.AppAssignment) Button) []Card {
	app := func(id directory.AppID) Cell {
		for _, a := range apps {
			if a.ID == id {
				return Cell{Text: Name(a), URL: address(string(id))}
			}
		}
		return Cell{Text: string(id)}
	}
	given := Card{Title: "Consents", Hint: webkit.Num(len(consents)), Empty: "None. Applications for which an administrator consented, and first-party ones, need none.", Table: NewTable("Consents", "Application", "Resource", "Scopes", "Given")}
	for i, x := range consents {
		var acts []Button
		if i == 0 || consents[i-1].App != x.App { // one act takes back all of an application's
			acts = []Button{withdraw(x)}
		}
		name := app(x.App)
		given.Table.Add("to "+name.Text, acts, name, Mono(string(x.Resource)), Cell{Text: strings.Join(x.Scopes, ", "), Wrap: true}, Text(p.When(x.Given)))
	}
	to := Card{Title: "Assignments", Hint: webkit.Num(len(assigned)), Note: "Those of a group are not among them.", Empty: "Assigned to nothing, unless through a group.", Table: NewTable("Assignments", "Application", "Role", "Since")}
	for _, x := range assigned {
		name := app(x.App)
		to.Table.Add(name.Text, []Button{unassign(x)}, name, Text(x.Role), Text(p.When(x.Created)))
	}
	return []Card{given, to}
}
