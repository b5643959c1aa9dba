package manage

import (
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage/manifest"
)

// What a manifest declares, as what the verbs take.

func declaredUser(u *manifest.User) NewUser {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	n := NewUser{Name: u.Name, DisplayName: text(u.DisplayName), GivenName: text(u.GivenName), Surname: text(u.Surname), Mail: text(u.Mail), Nickname: text(u.Nickname), JobTitle: text(u.JobTitle),
		Department: text(u.Department), Office: text(u.Office), Mobile: text(u.Mobile), Language: text(u.Language), Disabled: u.Enabled != nil && !*u.Enabled}
	if n.DisplayName == "" {
		n.DisplayName = n.Name
	}
	return n
}

func resourcePatch(r *manifest.Resource) ResourcePatch {
	p := ResourcePatch{Name: r.Name, TokenLife: r.Life, Guarded: r.Guarded, AppRoles: present(r.AppRoles), SigningAlg: r.SigningAlg, EncryptionKey: r.EncryptionKey}
	if r.Scope != nil {
		scopes := []directory.Scope{}
		for _, x := range r.Scope {
			scopes = append(scopes, directory.Scope{Name: x.Name, Text: x.Text, AdminOnly: x.AdminOnly})
		}
		p.Scopes = &scopes
	}
	return p
}

func appPatch(a *manifest.App) AppPatch {
	return AppPatch{Name: a.Name, Publisher: a.Publisher, Public: a.Public, FirstParty: a.FirstParty, DeviceCode: a.DeviceCode, AccessTokenMinutes: a.AccessTokenMinutes,
		RedirectURIs: present(a.RedirectURIs), PostLogoutURIs: present(a.PostLogoutURIs), Permissions: present(a.Permissions), AppPermissions: present(a.AppPermissions), Guards: present(a.Guards),
		Protocol: Protocol{SPARedirectURIs: present(a.SPARedirectURIs), Keys: present(a.Keys), KeysURI: a.KeysURI, Refresh: a.Refresh, GrantAbsolute: a.Absolute, RequirePAR: a.RequirePAR, RequireDPoP: a.RequireDPoP,
			SigningAlg: a.SigningAlg, BackChannelLogoutURI: a.BackChannelLogoutURI, BackChannelSession: a.BackChannelSession, FrontChannelLogoutURI: a.FrontChannelLogoutURI, FrontChannelSession: a.FrontChannelSession}}
}

// present is a list that is in the file, were it empty; nil one that is not.
func present[T any](list []T) *[]T {
	if list == nil {
		return nil
	}
	return &list
}

// document is another room's affair.
func (a *applying) document(kind string, d *manifest.Document) error {
	if a.s.Govern == nil {
		return invalid("Policies cannot be declared here.")
	}
	said, err := a.s.Govern(a.Tx, a.actor, kind, d)
	if said != "" {
		a.said = append(a.said, Change{Kind: kind, Name: d.Name, What: said})
	}
	return err
}

// provider is another room's affair; it writes its own audit record.
func (a *applying) provider(p *manifest.Provider) error {
	if a.s.Provider == nil {
		return invalid("Identity providers cannot be declared here.")
	}
	said, err := a.s.Provider(a.Tx, a.actor, p)
	if said != "" {
		a.said = append(a.said, Change{Kind: "provider", Name: string(p.ID), What: said})
		a.search = true // what it ended has a receipt
	}
	return err
}
