package directory

import (
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// Device is a browser that somebody registered: a key that does not leave it, and
// a cookie that names it.
type Device struct {
	ID   DeviceID
	User UserID // who registered it; nobody else's sign-in there is recognised
	Name string
	// Platform is the operating system that the browser said it runs on when it was
	// registered: a claim. Empty: none that is known.
	Platform string
	// Key is the public one of the browser's key pair: a point of P-256,
	// uncompressed (SEC 1 §2.3.3), 65 bytes.
	Key []byte
	// Cookie is the SHA-256 of the cookie's value.
	Cookie   [32]byte
	Created  time.Time
	LastSeen time.Time // when it last proved its key
	Lost     time.Time // when somebody reported it lost; zero: nobody has
	Enabled  bool
	// Compliant is what an administrator, or what manages the device, says of it.
	Compliant Compliance
	Trust     DeviceTrust
	BornPos   cutoff.Pos
}

// Compliance is whether a device is as it should be; zero: nobody has said.
type Compliance uint8

// What may be said of it. The numbers are stored.
const (
	ComplianceUnknown Compliance = iota
	Compliant
	NotCompliant
)

// DeviceTrust is how a device belongs to the directory; zero: it is not known.
type DeviceTrust uint8

// The ways. The numbers are stored. Browsers are registered; the other two are
// for what else may come to know devices.
const (
	TrustUnknown DeviceTrust = iota
	DeviceJoined
	DeviceHybrid
	DeviceRegistered
)

// MaxDevices is how many devices one person may have.
const MaxDevices = 50
