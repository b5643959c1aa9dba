package directory

// ProviderID names another identity provider in this directory: a short name that
// whoever links it chooses.
type ProviderID string

// Provider is another identity provider whose people can sign in here.
type Provider struct {
	ID      ProviderID
	Issuer  string // the iss of its ID tokens, to the byte
	Name    string
	Enabled bool
	// ClientID is what this directory is called there.
	ClientID string
	Version  int64 // grows with each change of the row
}
