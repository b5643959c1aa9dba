package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/proof"
)

// metadata is the document of OpenID Connect Discovery 1.0 §3 and RFC 8414 §2,
// with the members Microsoft's libraries read.
type metadata struct {
	Issuer                string            `json:"issuer"`
	Authorization         string            `json:"authorization_endpoint"`
	Token                 string            `json:"token_endpoint"`
	Device                string            `json:"device_authorization_endpoint"`
	JWKS                  string            `json:"jwks_uri"`
	Userinfo              string            `json:"userinfo_endpoint"`
	EndSession            string            `json:"end_session_endpoint"`
	Registration          string            `json:"registration_endpoint,omitempty"`
	Introspection         string            `json:"introspection_endpoint"`
	Revocation            string            `json:"revocation_endpoint"`
	Scopes                []string          `json:"scopes_supported"`
	ResponseTypes         []string          `json:"response_types_supported"`
	ResponseModes         []string          `json:"response_modes_supported"`
	GrantTypes            []string          `json:"grant_types_supported"`
	SubjectTypes          []string          `json:"subject_types_supported"`
	SigningAlgs           []string          `json:"id_token_signing_alg_values_supported"`
	TokenAuth             []string          `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string          `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuth        []string          `json:"revocation_endpoint_auth_methods_supported"`
	ChallengeMethods      []string          `json:"code_challenge_methods_supported"`
	Prompts               []string          `json:"prompt_values_supported"`
	ACRs                  []string          `json:"acr_values_supported"`
	Claims                []string          `json:"claims_supported"`
	IssParameter          bool              `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter       bool              `json:"claims_parameter_supported"`
	RequestParameter      bool              `json:"request_parameter_supported"`
	RequestURI            bool              `json:"request_uri_parameter_supported"`
	HTTPLogout            bool              `json:"http_logout_supported"`
	FrontchannelLogout    bool              `json:"frontchannel_logout_supported"`
	FrontchannelSession   bool              `json:"frontchannel_logout_session_supported"`
	BackchannelLogout     bool              `json:"backchannel_logout_supported"`
	BackchannelSession    bool              `json:"backchannel_logout_session_supported"`
	UILocales             []string          `json:"ui_locales_supported"`
	PAR                   string            `json:"pushed_authorization_request_endpoint"`
	RequirePAR            bool              `json:"require_pushed_authorization_requests"`
	TokenAuthAlgs         []string          `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthAlgs []string          `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthAlgs    []string          `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAlgs     []string          `json:"introspection_signing_alg_values_supported"` // RFC 9701 §7
	DPoPAlgs              []string          `json:"dpop_signing_alg_values_supported"`
	CertificateBound      bool              `json:"tls_client_certificate_bound_access_tokens"`
	MTLS                  map[string]string `json:"mtls_endpoint_aliases,omitempty"` // RFC 8705 §5
	// GlobalRevocation: draft-parecki-oauth-global-token-revocation.
	GlobalRevocation     string   `json:"global_token_revocation_endpoint"`
	GlobalRevocationAuth []string `json:"global_token_revocation_endpoint_auth_methods_supported"`
	// RefreshExpiration: draft-ietf-oauth-refresh-token-expiration.
	RefreshExpiration  []string `json:"refresh_token_expiration_types_supported"`
	CloudInstanceName  string   `json:"cloud_instance_name"`
	CloudGraphHostName string   `json:"cloud_graph_host_name"`
	MicrosoftGraphHost string   `json:"msgraph_host"`
}

func (s *Server) host() string {
	u, err := url.Parse(s.Issue.Base)
	if err != nil {
		return ""
	}
	return u.Host
}

// aliases are the endpoints where a client shows its certificate; browsers never
// go there, so they are never asked for one.
func (s *Server) aliases(i grant.Issuer, userinfo string) map[string]string {
	if s.Issue.MTLS == "" {
		return nil
	}
	m := map[string]string{"userinfo_endpoint": s.Issue.MTLS + userinfo}
	for name, at := range map[string]string{"token_endpoint": "token", "device_authorization_endpoint": "devicecode", "introspection_endpoint": "introspect",
		"revocation_endpoint": "revoke", "pushed_authorization_request_endpoint": "par"} {
		m[name] = s.Issue.MTLS + strings.TrimPrefix(s.Issue.Endpoint(i, at), s.Issue.Base)
	}
	return m
}

// documents renders both documents, once: everything in them is known at start.
// Whatever name of the directory was asked for, the endpoints carry its id.
func (s *Server) documents() map[grant.Issuer][]byte {
	out := map[grant.Issuer][]byte{}
	for i, paths := range map[grant.Issuer][2]string{
		grant.Tenant: {"/" + s.Issue.Tenant + "/discovery/v2.0/keys", "/oidc/userinfo"},
		grant.Plain:  {"/oauth2/keys", "/oauth2/userinfo"},
	} {
		proven := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
		if s.Issue.MTLS != "" {
			proven = append(proven, "self_signed_tls_client_auth")
		}
		registration := ""
		if s.Registrations != nil {
			registration = s.Issue.Endpoint(i, "register")
		}
		b, err := json.Marshal(metadata{
			Registration:  registration,
			Issuer:        s.Issue.Issuer(i),
			Authorization: s.Issue.Endpoint(i, "authorize"), Token: s.Issue.Endpoint(i, "token"), Device: s.Issue.Endpoint(i, "devicecode"),
			JWKS: s.Issue.Base + paths[0], Userinfo: s.Issue.Base + paths[1], EndSession: s.Issue.Endpoint(i, "logout"),
			Introspection: s.Issue.Endpoint(i, "introspect"), Revocation: s.Issue.Endpoint(i, "revoke"),
			Scopes:        []string{"openid", "profile", "email", "phone", "offline_access"},
			ResponseTypes: []string{"code"}, ResponseModes: []string{"query", "fragment", "form_post"},
			GrantTypes:   grantTypes,
			SubjectTypes: []string{"public"}, SigningAlgs: directory.SigningAlgs(),
			TokenAuth: slices.Concat(proven, []string{"none"}), IntrospectionAuth: proven, RevocationAuth: slices.Concat(proven, []string{"none"}),
			PAR: s.Issue.Endpoint(i, "par"), TokenAuthAlgs: proof.AssertionAlgs, IntrospectionAuthAlgs: proof.AssertionAlgs, RevocationAuthAlgs: proof.AssertionAlgs,
			IntrospectionAlgs: directory.SigningAlgs(), DPoPAlgs: proof.AssertionAlgs, CertificateBound: s.Issue.MTLS != "", MTLS: s.aliases(i, paths[1]),
			GlobalRevocation: s.Issue.Endpoint(i, "global-token-revocation"), GlobalRevocationAuth: []string{"bearer"},
			RefreshExpiration: []string{"authorization", "credential"},
			ChallengeMethods:  []string{"S256"}, Prompts: []string{"none", "login", "consent", "select_account"}, ACRs: []string{"1"},
			Claims:       []string{"iss", "sub", "aud", "exp", "iat", "nbf", "auth_time", "nonce", "acr", "amr", "sid", "oid", "tid", "name", "preferred_username", "login_hint", "email", "given_name", "family_name", "locale", "phone_number", "session_expiry", "ver"},
			IssParameter: true, ClaimsParameter: true, BackchannelLogout: true, BackchannelSession: true, FrontchannelLogout: true, FrontchannelSession: true, UILocales: []string{"en"},
			CloudInstanceName: s.host(), CloudGraphHostName: s.host(), MicrosoftGraphHost: s.host(),
		})
		if err != nil {
			panic("oidc: " + err.Error()) // strings and booleans
		}
		out[i] = append(b, '\n')
	}
	return out
}

// docCache is how long a document may be kept.
var docCache = []string{"public, max-age=3600"}

func (s *Server) document(docs map[grant.Issuer][]byte) handler {
	return func(w http.ResponseWriter, r *http.Request, i grant.Issuer) error {
		return public(w, r, docs[i], docCache)
	}
}

// public sends a rendered answer that everybody may keep.
func public(w http.ResponseWriter, r *http.Request, b []byte, cache []string) error {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, cache
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	if r.Method != http.MethodHead {
		w.Write(b) // who does not read it asks again
	}
	return nil
}

// keysCache is short: a key is published before it is used, and a verifier that
// meets an unknown one asks again by itself.
var keysCache = []string{"public, max-age=300"}

// getKeys answers with the signing keys (RFC 7517 §5), and says as of which
// position of the ledger they are: a guard that knows of a later cutoff of the
// whole directory does not take them, wherever they were kept meanwhile.
func (s *Server) getKeys(w http.ResponseWriter, r *http.Request, _ grant.Issuer) error {
	b, pos, err := s.JWKS()
	if err != nil {
		return err
	}
	w.Header()["Curfew-Position"] = []string{strconv.FormatInt(int64(pos), 10)}
	return public(w, r, b, keysCache)
}

// getInstance answers the question Microsoft's libraries ask about hosts they do
// not know: this one knows itself only.
func (s *Server) getInstance(w http.ResponseWriter, r *http.Request, _ grant.Issuer) error {
	u, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || !strings.EqualFold(u.Host, s.host()) {
		return &problem{kind: fault.Invalid, code: "invalid_instance", number: 50049, text: "This server does not know that host."}
	}
	type cloud struct {
		Network string   `json:"preferred_network"`
		Cache   string   `json:"preferred_cache"`
		Aliases []string `json:"aliases"`
	}
	b, err := json.Marshal(struct {
		Discovery string  `json:"tenant_discovery_endpoint"`
		Version   string  `json:"api-version"`
		Metadata  []cloud `json:"metadata"`
	}{s.Issue.Issuer(grant.Tenant) + "/.well-known/openid-configuration", "1.1", []cloud{{s.host(), s.host(), []string{s.host()}}}})
	if err != nil {
		return err
	}
	return send(w, append(b, '\n'))
}
