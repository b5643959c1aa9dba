package webkit

import (
	"net/http"
	"time"
)

// SessionCookie is the name of the cookie of a browser session. The prefix makes
// browsers refuse one that another host or a plain connection has set; it demands
// Secure, so plain http, which only the demonstration on loopback speaks, has the
// bare name.
func SessionCookie(secure bool) string {
	if secure {
		return "__Host-curfew"
	}
	return "curfew"
}

// maxSession bounds what is looked up, in bytes.
const maxSession = 256

// ReadSession is the value this browser has, or "".
//
// Trust: anybody can send any value. It is looked up by its hash and says nothing
// by itself.
func ReadSession(r *http.Request, secure bool) string {
	c, err := r.Cookie(SessionCookie(secure))
	if err != nil || len(c.Value) > maxSession {
		return ""
	}
	return c.Value
}

// SetSession hands out a session. How long a session lives is judged on the server;
// life is how long the browser keeps the cookie, 0 for until it is closed. Lax and
// not Strict: people come here from applications.
func SetSession(w http.ResponseWriter, secure bool, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: SessionCookie(secure), Value: value, Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())})
}

// ClearSession makes the browser forget.
func ClearSession(w http.ResponseWriter, secure bool) {
	http.SetCookie(w, &http.Cookie{Name: SessionCookie(secure), Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}
