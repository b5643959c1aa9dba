package device

import (
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

var (
	set           = webkit.Parse(files, nil)
	registerPage  = webkit.NewPage[Register](set, "device-register")
	recognisePage = webkit.NewPage[Recognise](set, "device-recognise")
)

// The addresses.
const (
	root          = "/account/devices"
	RegisterPath  = root + "/register"
	RecognisePath = webkit.DevicePath
)

// Server serves the pages of devices.
type Server struct {
	*pages.Server
	Device *device.Service
}

// Register is the page on which somebody registers the browser they are using.
type Register struct {
	webkit.Frame
	UserName, Next  string
	Skip            string // where who does not want to goes
	Name            webkit.Field
	Challenge, Post string
}

// Recognise is the page on which a browser proves that it is a device.
type Recognise struct {
	webkit.Frame
	Next, Begin, Post string
	// Else is where a browser goes that is not recognised.
	Else string
}

// Routes adds the routes to the mux that the pages are on.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+RegisterPath, s.getRegister)
	mux.HandleFunc("POST "+RegisterPath+"/challenge", s.postRegisterChallenge)
	mux.HandleFunc("POST "+RegisterPath, s.postRegister)
	mux.HandleFunc("GET "+RecognisePath, s.getRecognise)
	mux.HandleFunc("POST "+RecognisePath+"/challenge", s.postRecogniseChallenge)
	mux.HandleFunc("POST "+RecognisePath, s.postRecognise)
}

// cookieLife is the longest that browsers keep a cookie. It is set anew at each use.
const cookieLife = 400 * 24 * time.Hour

// maxCookie bounds what is looked up, in bytes.
const maxCookie = 300

// cookieName: see webkit.SessionCookie.
func (s *Server) cookieName() string {
	if s.Secure() {
		return "__Host-curfew-device"
	}
	return "curfew-device"
}

func (s *Server) readCookie(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil || len(c.Value) > maxCookie {
		return ""
	}
	return c.Value
}

// setCookie names the devices that this browser is. Strict: it is read only by what
// pages of ours ask for.
func (s *Server) setCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: s.Secure(), SameSite: http.SameSiteStrictMode, MaxAge: int(cookieLife.Seconds())})
}

// Onwards is where a browser goes that was going to next, right after somebody has
// proven in it who they are: by the page that recognises it, if it may be a device.
// The cookie is not sent on the way from another site, so that it cannot be asked for
// here; whether there is one, the page's script finds out.
func (s *Server) Onwards(r *http.Request, next string) string {
	if s.readCookie(r) == "" {
		return next
	}
	return recogniseAt(next)
}

// After is Onwards for who comes from another site, another identity provider say, so
// that the cookie cannot be read: who has a device at all is asked.
func (s *Server) After(ctx context.Context, signed *signin.Signed, next string) string {
	all, _, err := s.Device.Devices(ctx, signed.Actor, device.Query{User: signed.User.ID, Top: 1})
	if err == nil && len(all) == 0 {
		return next
	}
	return recogniseAt(next)
}

func recogniseAt(next string) string { return RecognisePath + "?next=" + url.QueryEscape(next) }

func registerAt(next string) string { return RegisterPath + "?next=" + url.QueryEscape(next) }

func (s *Server) getRegister(w http.ResponseWriter, r *http.Request) {
	next, err := s.next(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	signed := s.Owner(w, r, r.URL.RequestURI(), &signin.Visit{Action: policy.RegisterDevice})
	if signed == nil {
		return
	}
	if err := s.Device.Registrable(r.Context(), signed.Actor, s.readCookie(r)); errors.Is(err, device.ErrDisabled) {
		b := webkit.BlockedBy(s.Frame(r, ""), r, 135011, s.AppOf(r, next))
		pages.Show(s.Server, w, r, webkit.BlockedPage(), http.StatusForbidden, b)
		return
	} else if err != nil {
		s.Fail(w, r, err)
		return
	}
	q, skip := r.URL.Query(), next
	switch {
	case q.Get("declined") != "":
		pages.Show(s.Server, w, r, webkit.BlockedPage(), http.StatusForbidden, webkit.BlockedBy(s.Frame(r, ""), r, 50097, s.AppOf(r, next)))
		return
	case q.Get("demanded") != "":
		skip = registerAt(next) + "&declined=1" // from next they would only come back
	}
	v := Register{Frame: s.Frame(r, "Register this device"), UserName: signed.User.Name, Next: next, Skip: skip, Challenge: RegisterPath + "/challenge", Post: RegisterPath,
		Name: webkit.Field{Name: "name", Label: "Name of the device", Hint: "So that you know it again in your list.", Value: signed.Session.Agent, Autocomplete: "off", Required: true, Max: 120}}
	pages.Show(s.Server, w, r, registerPage, http.StatusOK, v)
}

func (s *Server) getRecognise(w http.ResponseWriter, r *http.Request) {
	next, err := s.next(r)
	if err != nil {
		s.Fail(w, r, err)
		return
	}
	v := Recognise{Frame: s.Frame(r, "One moment"), Next: next, Else: next, Begin: RecognisePath + "/challenge", Post: RecognisePath}
	if r.URL.Query().Get("register") != "" {
		v.Else = registerAt(next) + "&demanded=1"
	}
	pages.Show(s.Server, w, r, recognisePage, http.StatusOK, v)
}

// next is where somebody goes on to: their account, unless the address says another
// page of ours.
func (s *Server) next(r *http.Request) (string, error) {
	q, err := webkit.ParseQuery(r)
	if err != nil {
		return "", err
	}
	next := q.Get("next")
	if next == "" {
		return "/account", nil
	}
	if !s.Ours(next) {
		return "", fault.New(fault.Invalid, "The address to go on to is not one of this directory.")
	}
	return next, nil
}

// maxBody bounds what the script posts, in bytes.
const maxBody = 8 << 10

// b64 is a value in base64url without padding.
type b64 []byte

// UnmarshalText reads it.
func (b *b64) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.Strict().DecodeString(string(text))
	return err
}

// script answers what the pages' script asks for: JSON in, JSON out. f may change
// cookies; it writes nothing else.
func script[In any](s *Server, w http.ResponseWriter, r *http.Request, f func(In, *signin.Signed) (any, error)) {
	out, err := func() (any, error) {
		// A form of another site cannot be of this type without asking first, which is
		// refused; CrossOriginProtection refuses it as well.
		if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t != "application/json" {
			return nil, fault.New(fault.Invalid, "This is for the script of the page.")
		}
		var in In
		d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, fault.Wrap(fault.Invalid, "What the script sent cannot be read.", err)
		}
		signed, err := s.Session(r)
		if err != nil {
			return nil, err
		}
		if signed == nil {
			return nil, fault.New(fault.Unauthenticated, "Sign in first.")
		}
		return f(in, signed)
	}()
	status := http.StatusOK
	if err != nil {
		if status = webkit.StatusOf(err); fault.KindOf(err) == fault.Internal && s.Log != nil {
			s.Log.ErrorContext(r.Context(), "devices", "error", err, "request", webkit.RequestID(r.Context()))
		}
		out = struct {
			Error string `json:"error"`
		}{fault.Public(err)}
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic("device: " + err.Error()) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // who does not read it asks again
}

func (s *Server) postRegisterChallenge(w http.ResponseWriter, r *http.Request) {
	script(s, w, r, func(_ struct{}, signed *signin.Signed) (any, error) {
		c, err := s.Device.BeginRegister(r.Context(), signed.Actor)
		return map[string]string{"challenge": c, "origin": s.Device.Origin}, err
	})
}

func (s *Server) postRegister(w http.ResponseWriter, r *http.Request) {
	type in struct {
		Name      string `json:"name"`
		Challenge string `json:"challenge"`
		Key       b64    `json:"key"`
		Signature b64    `json:"signature"`
	}
	script(s, w, r, func(x in, signed *signin.Signed) (any, error) {
		_, platform, _ := strings.Cut(signed.Session.Agent, " on ")
		d, cookie, err := s.Device.Register(r.Context(), signed.Actor, device.Registration{Name: strings.TrimSpace(x.Name), Challenge: x.Challenge, Key: x.Key, Signature: x.Signature, Cookie: s.readCookie(r), Platform: platform})
		if err != nil {
			return nil, err
		}
		s.setCookie(w, cookie)
		return map[string]string{"device": d.ID.String()}, nil
	})
}

func (s *Server) postRecogniseChallenge(w http.ResponseWriter, r *http.Request) {
	script(s, w, r, func(_ struct{}, _ *signin.Signed) (any, error) {
		c, err := s.Device.BeginRecognise(r.Context(), s.readCookie(r))
		ids := make([]string, len(c.Devices))
		for i, id := range c.Devices {
			ids[i] = id.String()
		}
		return map[string]any{"challenge": c.Value, "devices": ids, "origin": s.Device.Origin}, err
	})
}

func (s *Server) postRecognise(w http.ResponseWriter, r *http.Request) {
	type in struct {
		Challenge string `json:"challenge"`
		Proofs    []struct {
			Device    directory.DeviceID `json:"device"`
			Signature b64                `json:"signature"`
		} `json:"proofs"`
	}
	script(s, w, r, func(x in, signed *signin.Signed) (any, error) {
		var proofs []device.Proof
		for _, p := range x.Proofs {
			proofs = append(proofs, device.Proof{Device: p.Device, Signature: p.Signature})
		}
		cookie := s.readCookie(r)
		d, err := s.Device.Recognise(r.Context(), signed.Actor, cookie, x.Challenge, proofs)
		if err != nil {
			return nil, err
		}
		s.setCookie(w, cookie) // for as long again
		return map[string]string{"device": d.ID.String()}, nil
	})
}
