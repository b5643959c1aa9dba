package signin

import "strings"

// Agents name themselves after each other, so the order matters: what a browser
// calls itself stands before what it pretends to be.
var (
	browsers = []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"HeadlessChrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
		{"curfew", "curfew"}, {"curl/", "curl"}, {"Go-http-client/", "A Go program"}, {"python-requests/", "A Python program"},
	}
	systems = []struct{ mark, name string }{
		{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"}, {"Macintosh", "macOS"}, {"Linux", "Linux"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"},
	}
)

// agent says in plain words what opened a session: "Firefox on Linux". The
// header is whatever its sender likes, so nothing of it is repeated.
func agent(header string) string {
	name, system := "", ""
	for _, b := range browsers {
		if strings.Contains(header, b.mark) {
			name = b.name
			break
		}
	}
	for _, s := range systems {
		if strings.Contains(header, s.mark) {
			system = s.name
			break
		}
	}
	switch {
	case name == "" && system == "":
		return "An unknown browser"
	case name == "":
		return "A browser on " + system
	case system == "":
		return name
	}
	return name + " on " + system
}
