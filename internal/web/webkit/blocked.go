package webkit

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/policy"
)

// The means of a second factor, as addresses name them.
var means = []struct {
	name string
	of   policy.Methods
}{
	{"passkey", policy.Passkey.Set()}, {"code", policy.SoftwareOTP.Set()}, {"pass", policy.PassMulti.Set() | policy.PassOnce.Set()}, {"recovery", policy.RecoveryCode.Set()},
}

// Again is where somebody whom policies refuse goes to give what is missing, to come
// back to next; false: there is no such place, or nothing helps. One thing at a time:
// coming back, it is judged anew.
func Again(err error, next string) (string, bool) {
	var r *access.Refused
	if !errors.As(err, &r) || r.Decision != policy.Ask {
		return "", false
	}
	device := r.Needs & (policy.NeedCompliantDevice | policy.NeedHybridDevice)
	if device != 0 && !registers(r, device) {
		return "", false
	}
	to := "?next=" + url.QueryEscape(next)
	switch n := r.Needs &^ (policy.NeedSignIn | policy.NeedSecond | policy.NeedPasswordChange | device); {
	case r.Needs&policy.NeedSignIn != 0:
		return "/signin" + to + "&prompt=login", true
	case r.Needs&policy.NeedSecond != 0 || r.Ruling.Set.Stronger(n): // before the password is changed
		var with []string
		for _, m := range means {
			if r.Ruling.Set.Enough(n, r.Ruling.Facts.Methods|m.of) {
				with = append(with, m.name)
			}
		}
		if len(with) < len(means) {
			to += "&with=" + strings.Join(with, "+")
		}
		return "/signin/second" + to, true
	case r.Needs&policy.NeedPasswordChange != 0:
		return "/account/password" + to, true
	case device != 0: // last of the proofs: nothing is registered by half of them
		return DevicePath + to + "&register=1", true
	}
	for _, name := range r.Names {
		if id, ok := strings.CutPrefix(name, "termsOfUse:"); ok {
			return "/signin/terms" + to + "&terms=" + url.QueryEscape(id), true
		}
	}
	return "", false
}

// DevicePath is the page where a browser proves that it is a device; with register, one
// that does not is asked whether it shall be.
const DevicePath = "/account/devices/recognise"

// registers reports whether it helps that this browser proves to be a device, or becomes
// one: it is none so far, and what is demanded can be said of browsers. To register
// one does not wait for another.
func registers(r *access.Refused, device policy.Needs) bool {
	f := &r.Ruling.Facts
	return device == policy.NeedCompliantDevice && f.Device.ID.IsZero() && f.Action != policy.RegisterDevice
}

// Blocked is the page of who has signed in and is let in nowhere all the same: the kind
// of thing that keeps them out, and what an administrator needs to find out which. What
// the policies say is nobody's business who may hold a stolen password.
type Blocked struct {
	Frame
	Text           string
	Code           string // AADSTS
	App            string // may be empty
	Address, Trace string
	Next           Link // zero: nowhere
}

// outside says why nothing helps that could be done in the browser.
var outside = map[int]string{
	53003:  "You signed in, but a policy does not let you in here: because of where you are, what you use, or what you want to reach. Signing in again does not help.",
	50097:  "You signed in, but only registered devices are let in here, and this one was not recognised.",
	50005:  "You signed in, but only certain devices are let in here, and this one does not say what it is.",
	135011: "You signed in, but this device was disabled.",
	53000:  "You signed in, but this device does not meet what your organisation asks of devices.",
	53001:  "You signed in, but this device is not one of your organisation's.",
}

// BlockedFor is the view of a refusal that nothing helps against; false: it is none.
func BlockedFor(f Frame, r *http.Request, err error, app string) (Blocked, bool) {
	var x *access.Refused
	if !errors.As(err, &x) {
		return Blocked{}, false
	}
	b := BlockedBy(f, r, x.Number, app)
	if b.Text == "" {
		b.Text = x.Text
	}
	return b, true
}

// BlockedBy is BlockedFor of what is known by its number alone.
func BlockedBy(f Frame, r *http.Request, number int, app string) Blocked {
	f.Title = "Your access is blocked"
	return Blocked{Frame: f, Text: outside[number], Code: strconv.Itoa(number), App: app, Address: Address(r), Trace: RequestID(r.Context())}
}

var blockedPage = NewPage[Blocked](Parse(nil, nil), "blocked")

// BlockedPage renders a [Blocked].
func BlockedPage() Page[Blocked] { return blockedPage }
