package wire

// The names of Graph. Of an enumeration, names[value]; names[0] is empty and means
// that the member is absent.
var (
	stateNames       = []string{"", "enabled", "disabled", "enabledForReportingButNotEnforced"}
	persistenceNames = []string{"", "always", "never"}
	continuityNames  = []string{"", "disabled", "strictLocation", "strictEnforcement"}
)

// Of a set, names[bit].
var (
	guestNames    = []string{"internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser", "otherExternalUser", "serviceProvider"}
	actionNames   = []string{"urn:user:registersecurityinfo", "urn:user:registerdevice"}
	clientNames   = []string{"browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "easSupported", "other", "all"}
	platformNames = []string{"android", "iOS", "windows", "windowsPhone", "macOS", "linux", "all"}
	riskNames     = []string{"none", "low", "medium", "high"}
	flowNames     = []string{"none", "deviceCodeFlow", "authenticationTransfer"}
	methodNames   = []string{"password", "softwareOath", "fido2", "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse", "hardwareOath", "sms", "voice", "email",
		"microsoftAuthenticatorPush", "deviceBasedPush", "windowsHelloForBusiness", "x509CertificateSingleFactor", "x509CertificateMultiFactor", "federatedSingleFactor", "federatedMultiFactor", "qrCodePin"}
)
