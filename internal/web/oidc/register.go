package oidc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Registrations lets applications be registered by protocol (RFC 7591), by whoever
// may register them by hand: the initial access token is an access token for the
// directory's own API. Nobody else gets in, so registration is never open.
type Registrations struct {
	Manage *manage.Service
	// Secret makes the registration access tokens (RFC 7592 §3): a MAC over the
	// application's object id, under a key that is not in the database. Nothing of
	// them is stored, and one is good as long as the application is there.
	Secret []byte
}

// clientMetadata is what is read and told of a registration (RFC 7591 §2, OpenID
// Connect Dynamic Client Registration 1.0 §2, and the logout and FAPI documents).
type clientMetadata struct {
	RedirectURIs []string `json:"redirect_uris"`
	Name         string   `json:"client_name,omitempty"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	GrantTypes   []string `json:"grant_types"`
	Responses    []string `json:"response_types"`
	Scope        string   `json:"scope,omitempty"`
	SubjectType  string   `json:"subject_type,omitempty"`
	JWKSURI      string   `json:"jwks_uri,omitempty"`
	JWKS         *struct {
		Keys []json.RawMessage `json:"keys"`
	} `json:"jwks,omitempty"`
	IDTokenAlg          string   `json:"id_token_signed_response_alg"`
	PostLogoutURIs      []string `json:"post_logout_redirect_uris,omitempty"`
	BackChannelURI      string   `json:"backchannel_logout_uri,omitempty"`
	BackChannelSession  bool     `json:"backchannel_logout_session_required,omitempty"`
	FrontChannelURI     string   `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelSession bool     `json:"frontchannel_logout_session_required,omitempty"`
	RequirePAR          bool     `json:"require_pushed_authorization_requests,omitempty"`
	RequireDPoP         bool     `json:"dpop_bound_access_tokens,omitempty"`
}

// Members that would make a promise which is not kept here. Others that nobody
// understands are ignored (RFC 7591 §2).
var refusedMembers = []string{"sector_identifier_uri", "id_token_encrypted_response_alg", "userinfo_signed_response_alg", "userinfo_encrypted_response_alg", "default_max_age", "default_acr_values",
	"request_object_encryption_alg", "tls_client_auth_subject_dn", "tls_client_auth_san_dns", "authorization_signed_response_alg"}

// maxMetadata bounds a registration, in bytes.
const maxMetadata = 64 << 10

func badMetadata(text string) error {
	return &problem{kind: fault.Invalid, code: "invalid_client_metadata", text: text}
}

// readMetadata reads a registration and fills in what is left out.
func readMetadata(w http.ResponseWriter, r *http.Request) (*clientMetadata, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, badMetadata("The body must be application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMetadata))
	if err != nil {
		return nil, badMetadata("The body is larger than 64 KiB, or did not arrive whole.")
	}
	var members map[string]json.RawMessage
	m := &clientMetadata{AuthMethod: "client_secret_basic", IDTokenAlg: "RS256"} // the defaults of both documents
	dec := json.NewDecoder(bytes.NewReader(body))
	if !utf8.Valid(body) || json.Unmarshal(body, &members) != nil || members == nil || dec.Decode(m) != nil {
		return nil, badMetadata("The body must be a JSON object with members of the types that RFC 7591 §2 says.")
	}
	if name := doubled(body); name != "" {
		return nil, badMetadata("The member " + called(name) + " was sent twice.")
	}
	for _, name := range refusedMembers {
		if raw, ok := members[name]; ok && string(raw) != "null" {
			return nil, badMetadata("What " + name + " asks for is not done here.")
		}
	}
	return m, m.check()
}

// doubled names a member that a JSON object has twice, in letters of any case: of
// two readers one would take the first and one the last.
func doubled(object []byte) string {
	seen, dec := map[string]bool{}, json.NewDecoder(bytes.NewReader(object))
	for dec.Token(); dec.More(); { // the first one is the brace: it is an object, and valid
		t, _ := dec.Token()
		name, _ := t.(string)
		var value json.RawMessage
		folded := strings.ToLower(name)
		if seen[folded] || dec.Decode(&value) != nil {
			return name
		}
		seen[folded] = true
	}
	return ""
}

func (m *clientMetadata) check() error {
	if len(m.RedirectURIs) == 0 {
		return &problem{kind: fault.Invalid, code: "invalid_redirect_uri", text: "At least one redirect_uri must be registered."}
	}
	for _, u := range m.RedirectURIs {
		if err := directory.CheckRedirectURI(u); err != nil {
			return &problem{kind: fault.Invalid, code: "invalid_redirect_uri", text: fault.Public(err)}
		}
	}
	within := func(have, may []string) bool {
		return !slices.ContainsFunc(have, func(x string) bool { return !slices.Contains(may, x) })
	}
	switch {
	case !within(m.Responses, []string{"code"}):
		return badMetadata("The only response_type here is code.")
	case !within(m.GrantTypes, []string{"authorization_code", "refresh_token"}):
		return badMetadata("The grant_types that can be registered here are authorization_code and refresh_token.")
	case !within([]string{m.AuthMethod}, []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}):
		return badMetadata("The token_endpoint_auth_method is client_secret_basic, client_secret_post, private_key_jwt or none.")
	case m.SubjectType != "" && m.SubjectType != "public":
		return badMetadata("The only subject_type here is public.")
	case m.AuthMethod == "private_key_jwt" && (m.JWKS == nil || len(m.JWKS.Keys) == 0) && m.JWKSURI == "":
		return badMetadata("Who proves itself by private_key_jwt registers jwks or jwks_uri.")
	case m.AuthMethod != "private_key_jwt" && (m.JWKS != nil || m.JWKSURI != ""):
		m.JWKS, m.JWKSURI = nil, "" // keys for what is not done here; one would open a second way in
	}
	return nil
}

// settle writes down what the registration comes to: every application may ask for
// OpenID Connect's scopes, be renewed, and nothing else.
func (m *clientMetadata) settle() {
	m.GrantTypes, m.Responses, m.Scope, m.SubjectType = []string{"authorization_code", "refresh_token"}, []string{"code"}, "openid profile email phone offline_access", "public"
}

func (m *clientMetadata) patch() manage.AppPatch {
	public := m.AuthMethod == "none"
	name := m.Name
	if name == "" {
		name = "Application at " + hostOf(m.RedirectURIs[0])
	}
	p := manage.AppPatch{Name: &name, Public: &public, RedirectURIs: &m.RedirectURIs, PostLogoutURIs: &m.PostLogoutURIs,
		Protocol: manage.Protocol{SigningAlg: &m.IDTokenAlg, KeysURI: &m.JWKSURI, RequirePAR: &m.RequirePAR, RequireDPoP: &m.RequireDPoP,
			BackChannelLogoutURI: &m.BackChannelURI, BackChannelSession: &m.BackChannelSession, FrontChannelLogoutURI: &m.FrontChannelURI, FrontChannelSession: &m.FrontChannelSession}}
	if m.JWKS != nil {
		var keys []string
		for _, k := range m.JWKS.Keys {
			keys = append(keys, string(k))
		}
		p.Keys = &keys
	}
	return p
}

func hostOf(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.Host != "" {
		return u.Host
	}
	return uri
}

// registered is the answer of RFC 7591 §3.2.1.
type registered struct {
	ID            string `json:"client_id"`
	Secret        string `json:"client_secret,omitempty"`
	IssuedAt      int64  `json:"client_id_issued_at"`
	SecretExpires *int64 `json:"client_secret_expires_at,omitempty"` // 0: never
	URI           string `json:"registration_client_uri"`
	Token         string `json:"registration_access_token"`
	*clientMetadata
}

func (s *Server) registration(issuer grant.Issuer, a *directory.App, m *clientMetadata) *registered {
	return &registered{ID: string(a.ID), IssuedAt: a.Created.Unix(), URI: s.Issue.Endpoint(issuer, "register") + "/" + url.PathEscape(string(a.ID)),
		Token: s.registrationToken(a), clientMetadata: m}
}

// postRegister registers an application (RFC 7591 §3).
func (s *Server) postRegister(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	scheme, token, err := presented(w, r)
	a := &access{scheme: scheme, token: token, scope: "Application.ReadWrite.All"}
	var actor directory.Actor
	if err == nil {
		if a.key, err = s.Issue.Holds(r.Context(), webkit.Possession(r, scheme, token)); err == nil {
			actor, _, err = s.Issue.Actor(r.Context(), token, issue.Meta{IP: webkit.Address(r), Key: a.key})
		}
	}
	if err != nil {
		s.refuse(w, r, a, err)
		return nil
	}
	actor.IP, actor.Request = webkit.Address(r), webkit.RequestID(r.Context())
	m, err := readMetadata(w, r)
	if err != nil {
		return err
	}
	app, secret, err := s.Registrations.Manage.CreateApp(r.Context(), actor, manage.NewApp{WithSecret: strings.HasPrefix(m.AuthMethod, "client_secret_"), AppPatch: m.patch()}, manage.Act{Reason: "registered by protocol"})
	switch fault.KindOf(err) {
	case fault.Denied, fault.Revoked:
		s.refuse(w, r, a, err)
		return nil
	case fault.Invalid, fault.Conflict, fault.NotFound:
		return badMetadata(fault.Public(err))
	}
	if err != nil {
		return err
	}
	m.settle()
	m.Name = app.Name
	out := s.registration(issuer, app, m)
	if secret != nil {
		out.Secret, out.SecretExpires = secret.Value, new(int64)
	}
	return s.tellRegistration(w, http.StatusCreated, out)
}

func (s *Server) tellRegistration(w http.ResponseWriter, status int, out *registered) error {
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return answer(w, status, append(b, '\n'))
}

// oneRegistration reads or deletes a registration for whoever shows its own token
// (RFC 7592 §2.1, §2.3). It is not changed here: what an application may do is for
// those to say who may say so.
func (s *Server) oneRegistration(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	scheme, token, err := presented(w, r)
	shown := &access{scheme: scheme, token: token}
	id := directory.AppID(r.PathValue("client"))
	actor := directory.Actor{Registration: id, Name: string(id), IP: webkit.Address(r), Request: webkit.RequestID(r.Context())}
	var app *directory.App
	if err == nil {
		app, err = s.registeredTo(r.Context(), actor, token)
	}
	if err != nil {
		s.refuse(w, r, shown, err)
		return nil
	}
	if r.Method == http.MethodDelete {
		if _, err := s.Registrations.Manage.DeleteApp(r.Context(), actor, id, manage.Act{Reason: "by its registration access token"}); err != nil {
			return err
		}
		w.Header()["Cache-Control"] = noStore
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	m := &clientMetadata{RedirectURIs: slices.Concat(app.RedirectURIs, app.SPARedirectURIs), Name: app.Name, AuthMethod: "client_secret_basic", IDTokenAlg: cmp.Or(app.SigningAlg, directory.ES256), PostLogoutURIs: app.PostLogoutURIs,
		JWKSURI: app.KeysURI, BackChannelURI: app.BackChannelLogoutURI, BackChannelSession: app.BackChannelSession, FrontChannelURI: app.FrontChannelLogoutURI, FrontChannelSession: app.FrontChannelSession,
		RequirePAR: app.RequirePAR, RequireDPoP: app.RequireDPoP}
	switch {
	case app.Public:
		m.AuthMethod = "none"
	case len(app.Keys) > 0 || app.KeysURI != "":
		m.AuthMethod = "private_key_jwt"
	}
	m.settle()
	return s.tellRegistration(w, http.StatusOK, s.registration(issuer, app, m))
}

// registeredTo returns the application whose token this is. An unknown one reads
// the same as a wrong token.
func (s *Server) registeredTo(ctx context.Context, actor directory.Actor, token string) (*directory.App, error) {
	wrong := fault.New(fault.Unauthenticated, "That is not the registration access token of this application.")
	if !directory.ValidAppID(string(actor.Registration)) {
		return nil, wrong
	}
	app, err := s.Registrations.Manage.App(ctx, actor, actor.Registration)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, wrong
	case err != nil:
		return nil, err
	case !hmac.Equal([]byte(token), []byte(s.registrationToken(app))):
		return nil, wrong
	}
	return app, nil
}

// registrationPrefix lets scanners of leaked code recognise one.
const registrationPrefix = "cfreg_"

func (s *Server) registrationToken(a *directory.App) string {
	mac := hmac.New(sha256.New, s.Registrations.Secret)
	mac.Write([]byte(a.Object.String()))
	return registrationPrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
