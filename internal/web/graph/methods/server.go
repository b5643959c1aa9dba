package methods

import (
	"net/http"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Server answers about methods.
type Server struct {
	*api.Server
	Factor *factor.Service
}

type (
	call   = api.Call
	object = api.Object
	row    = api.Row
)

const root = "/users/{user}/authentication"

// sets are the collections of methods; kind is empty where there are all.
var sets = []struct {
	name string
	kind directory.MethodKind
}{
	{"methods", ""},
	{"softwareOathMethods", directory.MethodTOTP},
	{"fido2Methods", directory.MethodPasskey},
	{"temporaryAccessPassMethods", directory.MethodPass},
}

// Routes are all addresses of Microsoft's that are about methods.
func (s Server) Routes() api.Routes {
	all := api.Routes{
		"GET " + root + "/passwordMethods":             s.getPasswords,
		"GET " + root + "/passwordMethods/{id}":        s.getPassword,
		"POST " + root + "/temporaryAccessPassMethods": s.postPass,
	}
	for _, set := range sets {
		at := root + "/" + set.name
		all["GET "+at] = s.list(set.name, set.kind)
		all["GET "+at+"/{id}"] = s.get(set.name, set.kind)
		all["DELETE "+at+"/{id}"] = s.remove(set.kind)
	}
	return all
}

// OwnRoutes are those under /curfew.
func (s Server) OwnRoutes() api.Routes {
	return api.Routes{"POST /curfew/users/{user}/resetMethods": s.reset}
}

// passwordID is the id that everybody's password has on Graph.
const passwordID = "28c10230-6103-485e-b985-444c60001490"

// schema says what can be asked of a listing: no more than which properties.
var schema = odata.Schema{Entity: "microsoft.graph.authenticationMethod",
	Selects: []string{"id", "createdDateTime", "displayName", "aaGuid", "model", "attestationCertificates", "attestationLevel", "passkeyType", "lastUsedDateTime",
		"secretKey", "password", "temporaryAccessPass", "startDateTime", "lifetimeInMinutes", "isUsableOnce", "isUsable", "methodUsabilityReason", "codesLeft"}}

var errNone = fault.New(fault.NotFound, "There is no such method.")

// types are Graph's. Recovery codes have one of ours.
var types = map[directory.MethodKind]string{directory.MethodTOTP: "#microsoft.graph.softwareOathAuthenticationMethod", directory.MethodPasskey: "#microsoft.graph.fido2AuthenticationMethod",
	directory.MethodPass: "#microsoft.graph.temporaryAccessPassAuthenticationMethod", directory.MethodCodes: "#curfew.recoveryCodesAuthenticationMethod"}

// methodObject is a method; value is that of a new pass, shown once.
func methodObject(m factor.Method, value string, now time.Time) object {
	o := object{{"id", m.ID}}
	switch m.Kind {
	case directory.MethodTOTP:
		o = append(o, object{{"displayName", m.Name}, {"secretKey", nil}}...)
	case directory.MethodPasskey:
		kind := "deviceBound"
		if m.Synced {
			kind = "synced"
		}
		o = append(o, object{{"displayName", m.Name}, {"aaGuid", api.TextOrNull(m.AAGUID)}, {"model", nil}, {"attestationCertificates", []string{}}, {"attestationLevel", "notAttested"}, {"passkeyType", kind}}...)
	case directory.MethodCodes:
		o = append(o, object{{"displayName", m.Name}, {"codesLeft", m.Left}}...)
	case directory.MethodPass:
		reason, usable := "EnabledByPolicy", now.Before(m.Expires)
		if !usable {
			reason = "Expired"
		}
		o = append(o, object{{"temporaryAccessPass", api.TextOrNull(value)}, {"startDateTime", api.Instant(m.Created)}, {"lifetimeInMinutes", int(m.Expires.Sub(m.Created) / time.Minute)},
			{"isUsableOnce", m.Once}, {"isUsable", usable}, {"methodUsabilityReason", reason}}...)
	}
	return append(o, object{{"createdDateTime", api.Instant(m.Created)}, {"lastUsedDateTime", api.Instant(m.Used)}}...)
}

func passwordObject(u *directory.User) object {
	return object{{"id", passwordID}, {"password", nil}, {"createdDateTime", api.Instant(u.Password.Changed)}}
}

func typed(kind string, o object) object { return append(object{{"@odata.type", kind}}, o...) }

// ref is the user of the path, as the verb takes it.
func (s Server) ref(c *call) string {
	if ref := c.R.PathValue("user"); ref != api.Self {
		return ref
	}
	return c.Actor.User.String()
}

func (s Server) context(c *call, set string) string {
	return "users('" + c.R.PathValue("user") + "')/authentication/" + set
}

func (s Server) list(set string, kind directory.MethodKind) func(*call) error {
	return func(c *call) error {
		p, err := s.Factor.Methods(c.Ctx(), c.Actor, s.ref(c))
		if err != nil {
			return err
		}
		rows := []row{}
		if kind == "" && p.HasPassword {
			rows = append(rows, row{ID: passwordID, Item: func() object { return typed("#microsoft.graph.passwordAuthenticationMethod", passwordObject(p.User)) }})
		}
		for _, m := range p.Methods {
			if kind != "" && m.Kind != kind {
				continue
			}
			rows = append(rows, row{ID: m.ID.String(), Item: func() object {
				o := methodObject(m, "", s.Time())
				if kind == "" {
					o = typed(types[m.Kind], o)
				}
				return o
			}})
		}
		return s.List(c, &schema, s.context(c, set), rows)
	}
}

// one finds the method of the path among those of its kind.
func (s Server) one(c *call, kind directory.MethodKind) (factor.Method, error) {
	p, err := s.Factor.Methods(c.Ctx(), c.Actor, s.ref(c))
	if err != nil {
		return factor.Method{}, err
	}
	id, err := directory.ParseID[directory.Method](c.R.PathValue("id"))
	if err != nil {
		return factor.Method{}, errNone
	}
	for _, m := range p.Methods {
		if m.ID == id && (kind == "" || m.Kind == kind) {
			return m, nil
		}
	}
	return factor.Method{}, errNone
}

func (s Server) get(set string, kind directory.MethodKind) func(*call) error {
	return func(c *call) error {
		if kind == "" && c.R.PathValue("id") == passwordID {
			return s.getPassword(c)
		}
		m, err := s.one(c, kind)
		if err != nil {
			return err
		}
		return s.Entity(c, &schema, s.context(c, set), row{ID: m.ID.String(), Item: func() object {
			o := methodObject(m, "", s.Time())
			if kind == "" {
				o = typed(types[m.Kind], o)
			}
			return o
		}})
	}
}

func (s Server) remove(kind directory.MethodKind) func(*call) error {
	return func(c *call) error {
		return c.Do(func(act manage.Act) (*manage.Receipt, error) {
			id, err := directory.ParseID[directory.Method](c.R.PathValue("id"))
			if err != nil {
				return nil, errNone
			}
			return s.Factor.RemoveOf(c.Ctx(), c.Actor, s.ref(c), kind, id, act)
		})
	}
}

func (s Server) getPasswords(c *call) error {
	p, err := s.Factor.Methods(c.Ctx(), c.Actor, s.ref(c))
	if err != nil {
		return err
	}
	rows := []row{}
	if p.HasPassword {
		rows = append(rows, row{ID: passwordID, Item: func() object { return passwordObject(p.User) }})
	}
	return s.List(c, &schema, s.context(c, "passwordMethods"), rows)
}

func (s Server) getPassword(c *call) error {
	p, err := s.Factor.Methods(c.Ctx(), c.Actor, s.ref(c))
	if err != nil {
		return err
	}
	if c.R.PathValue("id") != passwordID || !p.HasPassword {
		return errNone
	}
	return s.Entity(c, &schema, s.context(c, "passwordMethods"), row{ID: passwordID, Item: func() object { return passwordObject(p.User) }})
}

// postPass gives a pass. Graph lets one begin later; here it begins now.
func (s Server) postPass(c *call) error {
	var minutes *int
	var once *bool
	act, err := c.Order(odata.Form{"@odata.type": odata.Only(`"`+types[directory.MethodPass]+`"`, "null"), "lifetimeInMinutes": odata.Whole(&minutes), "isUsableOnce": odata.Truth(&once), "startDateTime": odata.Only("null")})
	if err != nil {
		return err
	}
	wish := factor.PassWish{Once: once != nil && *once}
	if minutes != nil {
		if *minutes < 1 || *minutes > int(factor.LongestPass/time.Minute) {
			return odata.Unreadable("The property lifetimeInMinutes must be from 10 to 43200.")
		}
		wish.Life = time.Duration(*minutes) * time.Minute
	}
	p, err := s.Factor.IssuePass(c.Ctx(), c.Actor, s.ref(c), wish, act)
	if err != nil {
		return err
	}
	c.W.Header().Set("Location", s.Root(c)+"/users/"+c.R.PathValue("user")+"/authentication/temporaryAccessPassMethods/"+p.Method.ID.String())
	entity := append(object{{"@odata.context", s.Context(c, s.context(c, "temporaryAccessPassMethods")+"/$entity")}}, methodObject(p.Method, p.Value, s.Time())...)
	return c.Done(act, p.Receipt, http.StatusCreated, entity)
}

func (s Server) reset(c *call) error {
	act, err := c.OwnOrder(odata.Form{})
	if err != nil {
		return err
	}
	r, err := s.Factor.Reset(c.Ctx(), c.Actor, s.ref(c), act)
	return c.Finish(act, r, err)
}
