package access

import (
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// platforms by what a User-Agent, or our own words for one ("Firefox on Linux"),
// says. The order matters: telephones pretend to be what they descend from. ChromeOS
// is none of Microsoft's platforms, and so not known.
var platforms = []struct {
	mark string
	is   policy.Platform
}{
	{"CrOS", 0}, {"ChromeOS", 0}, {"Windows Phone", policy.WindowsPhone}, {"Windows", policy.Windows}, {"iPhone", policy.IOS}, {"iPad", policy.IOS}, {"Android", policy.Android},
	{"Mac OS X", policy.MacOS}, {"Macintosh", policy.MacOS}, {"macOS", policy.MacOS}, {"Linux", policy.Linux},
}

// maxAgent bounds how much of a header is looked at.
const maxAgent = 512

// PlatformOf reads the platform from a User-Agent header, or from our own words for
// one; 0: it is not known. It is a claim: see policy.Facts.
func PlatformOf(agent string) policy.Platform {
	agent = agent[:min(len(agent), maxAgent)]
	for _, p := range platforms {
		if strings.Contains(agent, p.mark) {
			return p.is
		}
	}
	return 0
}

// ProgramOf is what kind of program an application is, by how it is registered: one
// that holds a secret runs behind a browser, a public one natively, or in the browser
// if that is where all its addresses are. redirect is the one in use, if any; 0: it
// could be either.
func ProgramOf(app *directory.App, redirect string) policy.ClientType {
	browser := func(all []string) bool {
		for _, x := range all {
			if x == redirect {
				return true
			}
		}
		return false
	}
	switch {
	case !app.Public, redirect != "" && browser(app.SPARedirectURIs):
		return policy.Browser
	case redirect != "" || len(app.SPARedirectURIs) == 0:
		return policy.Native
	case len(app.RedirectURIs) == 0 && !app.DeviceCode:
		return policy.Browser
	}
	return 0
}

// ContextNumber reads the name of an authentication context: "c1" to "c99".
func ContextNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(strings.ToLower(name), "c")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 1 && n <= policy.MaxContext && digits == strconv.Itoa(n)
}
