package manifest

import "github.com/curfew-id/curfew/internal/directory"

// Provider is another identity provider; nil leaves alone.
type Provider struct {
	ID               directory.ProviderID
	Issuer           string // or the address of its metadata
	Name             *string
	ClientID         *string `toml:"client_id"`
	Secret           Hidden
	SecretEnv        string `toml:"secret_env"`
	SecretFile       string `toml:"secret_file"`
	PrivateKeyJWT    *bool  `toml:"private_key_jwt"`
	Scopes, Domains  []string
	UserNameClaim    *string `toml:"user_name_claim"`
	MailClaim        *string `toml:"mail_claim"`
	DisplayNameClaim *string `toml:"display_name_claim"`
	CreateUsers      *bool   `toml:"create_users"`
	Enabled          *bool
}

func (p *Provider) check(o Options) (err error) {
	if p.ID == "" || p.Issuer == "" {
		return invalid("An identity provider needs the keys id and issuer.")
	}
	p.Secret, err = o.secret("secret", p.Secret, p.SecretEnv, p.SecretFile)
	return err
}
