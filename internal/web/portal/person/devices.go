package person

import (
	"net/http"

	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/receipt"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The verbs on devices.
var (
	DisableDevice = desk.Verb{Slug: "disable", Label: "Disable", Busy: "Disabling…", Keep: "Keep it enabled", Icon: "disabled", Doing: "disable devices", Cuts: true}
	EnableDevice  = desk.Verb{Slug: "enable", Label: "Enable", Busy: "Enabling…", Keep: "Keep it disabled", Icon: "ended", Doing: "enable devices"}
	LoseDevice    = desk.Verb{Slug: "lost", Label: "Lost", Busy: "Cutting…", Keep: "It is not lost", Icon: "revoke", Doing: "disable devices", Cuts: true}
	PassDevice    = desk.Verb{Slug: "compliant", Label: "Compliant", Busy: "Saving…", Keep: "Leave it as it is", Icon: "ended", Doing: "say whether devices are compliant"}
	FailDevice    = desk.Verb{Slug: "not-compliant", Label: "Not compliant", Busy: "Saving…", Keep: "Leave it as it is", Icon: "lives", Doing: "say whether devices are compliant"}
	DeleteDevice  = desk.Verb{Slug: "delete", Label: "Delete", Busy: "Deleting…", Keep: "Keep device", Icon: "x", Doing: "delete devices", Cuts: true}
)

const devicesWord = "devices"

func devicePath(id directory.DeviceID, verb desk.Verb) string {
	return desk.PathDevices + "/" + id.String() + "/" + verb.Slug
}

// condition is a device's state.
func condition(d *directory.Device, c webkit.Clock) registry.Cell {
	if !d.Lost.IsZero() {
		return registry.Cell{Mark: registry.Mark{Icon: "failed", Tone: "t-danger", Word: "Lost since " + c.When(d.Lost)}, Wrap: true}
	}
	return registry.Cell{Mark: registry.Enabled(d.Enabled)}
}

var compliance = map[directory.Compliance]registry.Cell{
	directory.Compliant: {Mark: registry.Mark{Icon: "ended", Tone: "t-ok", Word: "Compliant"}}, directory.NotCompliant: {Mark: registry.Mark{Icon: "lives", Tone: "t-warn", Word: "Not compliant"}},
}

// row adds a device to a table; owner says whose it is.
func (s *Server) row(v *desk.Visit, o *desk.Offers, t *registry.Table, d device.View, owner bool) {
	c := v.Clock(v.Now())
	target := role.Target{ID: d.User}
	acts := []registry.Button{o.Button(DeleteDevice, role.DeleteDevice, target, devicePath(d.ID, DeleteDevice))}
	if d.Enabled {
		acts = append([]registry.Button{o.Button(DisableDevice, role.DisableDevice, target, devicePath(d.ID, DisableDevice)), o.Button(LoseDevice, role.DisableDevice, target, devicePath(d.ID, LoseDevice))}, acts...)
	} else {
		acts = append([]registry.Button{o.Button(EnableDevice, role.EnableDevice, target, devicePath(d.ID, EnableDevice))}, acts...)
	}
	if d.Compliant != directory.Compliant {
		acts = append(acts, o.Button(PassDevice, role.JudgeDevice, target, devicePath(d.ID, PassDevice)))
	}
	if d.Compliant != directory.NotCompliant {
		acts = append(acts, o.Button(FailDevice, role.JudgeDevice, target, devicePath(d.ID, FailDevice)))
	}
	seen := registry.Cell{Text: "never", Soft: true}
	if !d.LastSeen.IsZero() {
		seen = registry.Text(c.When(d.LastSeen))
	}
	is := registry.Cell{Text: "not known", Soft: true}
	if x, ok := compliance[d.Compliant]; ok {
		is = x
	}
	name := registry.Cell{Text: d.Name, Wrap: true}
	cells := []registry.Cell{name, condition(d.Device, c), registry.Text(d.Platform), is, registry.Text(c.When(d.Created)), seen}
	if owner {
		cells = append([]registry.Cell{name, {Text: d.Owner, URL: desk.UserPath(d.User.String()) + "?tab=" + devicesWord, Wrap: true}}, cells[1:]...)
	}
	t.Add("of "+d.Name, acts, cells...)
}

// Devices is the tab.
func (s *Server) Devices() desk.UserTab {
	return desk.UserTab{Word: devicesWord, Text: "Devices", Cards: func(v *desk.Visit, o *desk.Offers, p desk.Person) ([]registry.Card, error) {
		card := registry.Card{Title: "Devices", Hint: "browsers that were registered, with a key that does not leave them", Empty: "No device of " + p.Name + " is registered.", Table: registry.NewTable("Devices", "Device", "State", "Platform", "Compliant", "Registered", "Last seen")}
		before, _ := directory.ParseID[directory.Device](v.Q.Get("before")) // else from the newest
		all, next, err := s.Device.Devices(v.Ctx(), v.Actor, device.Query{User: p.ID, Before: before, Top: desk.ListSize})
		if fault.Is(err, fault.Denied) {
			return []registry.Card{{Title: "Devices", Empty: fault.Public(err)}}, nil
		}
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			s.row(v, o, card.Table, d, false)
		}
		if !next.IsZero() {
			card.From, card.NextURL = v.At(), v.Next(len(all), desk.UserPath(p.ID.String())+"?tab="+devicesWord+"&before="+next.String())
		}
		return []registry.Card{card}, nil
	}}
}

func (s *Server) getDevices(v *desk.Visit) error {
	before, _ := directory.ParseID[directory.Device](v.Q.Get("before")) // else from the newest
	all, next, err := s.Device.Devices(v.Ctx(), v.Actor, device.Query{Before: before, Top: desk.ListSize})
	if err != nil {
		return err
	}
	o := v.Offers()
	card := registry.Card{Title: "Registered browsers", Hint: "newest first", Empty: "No device is registered yet. People register a browser on their account page.", Table: registry.NewTable("Devices", "Device", "Owner", "State", "Platform", "Compliant", "Registered", "Last seen")}
	for _, d := range all {
		s.row(v, o, card.Table, d, true)
	}
	if !next.IsZero() {
		card.From, card.NextURL = v.At(), v.Next(len(all), desk.PathDevices+"?before="+next.String())
	}
	view := desk.Thing{Name: "Devices", Cards: []registry.Card{card}, Refusal: o.Refusal(directory.UserID{}, "", desk.PathDevices)}
	view.Shell = v.Shell("Devices")
	return desk.Show(v, desk.ThingPage, http.StatusOK, view)
}

// askDevice is the confirmation of a verb on a device, and what does it.
func (s *Server) askDevice(v *desk.Visit) (*question, error) {
	id, err := directory.ParseID[directory.Device](v.R.PathValue("id"))
	if err != nil {
		return nil, desk.ErrNoPart
	}
	d, err := s.Device.Device(v.Ctx(), v.Actor, id)
	if err != nil {
		return nil, err
	}
	home := desk.UserPath(d.User.String()) + "?tab=" + devicesWord
	c := &desk.Confirm{Action: v.R.URL.EscapedPath(), KeepURL: home, Undo: desk.CannotUndo, ReasonHint: "Goes on the receipt and into the audit log."}
	q := &question{Confirm: c}
	change := func(enabled bool) func(webkit.Form, manage.Act) (string, error) {
		return func(_ webkit.Form, act manage.Act) (string, error) {
			r, err := s.Device.Change(v.Ctx(), v.Actor, id, device.Patch{Enabled: &enabled}, act)
			return after(v, home, itself(r)), err
		}
	}
	judge := func(is directory.Compliance) func(webkit.Form, manage.Act) (string, error) {
		return func(_ webkit.Form, act manage.Act) (string, error) {
			r, err := s.Device.Change(v.Ctx(), v.Actor, id, device.Patch{Compliant: &is}, act)
			return after(v, home, itself(r)), err
		}
	}
	name, action := d.Name+" of "+d.Owner, role.DisableDevice
	verb := v.R.PathValue("verb")
	if verb == PassDevice.Slug && d.Compliant == directory.Compliant || verb == FailDevice.Slug && d.Compliant == directory.NotCompliant {
		return nil, desk.ErrNoPart
	}
	if verb == DisableDevice.Slug && !d.Enabled || verb == EnableDevice.Slug && d.Enabled {
		return nil, desk.ErrNoPart
	}
	switch verb {
	case DisableDevice.Slug:
		c.Verb, c.Question, c.Undo, q.do = DisableDevice, "Disable "+name+"?", "Enabling again brings nothing back.", change(false)
	case EnableDevice.Slug:
		action, c.Verb, c.Question, c.Undo, q.do = role.EnableDevice, EnableDevice, "Enable "+name+"?", "Can be disabled again.", change(true)
		c.Consequences = []desk.Consequence{{Kind: receipt.AtOnce, What: "New sign-ins there", When: "are recognised again"}, {Kind: receipt.EndUnknown, What: "What had ended", When: "stays ended"}}
	case PassDevice.Slug:
		action, c.Verb, c.Question, c.Undo, q.do = role.JudgeDevice, PassDevice, "Is "+name+" compliant?", "Can be said otherwise again.", judge(directory.Compliant)
		c.Consequences = []desk.Consequence{{Kind: receipt.AtOnce, What: "Where policies demand a compliant device", When: "it is let in"}}
	case FailDevice.Slug:
		action, c.Verb, c.Question, c.Undo, q.do = role.JudgeDevice, FailDevice, "Is "+name+" not compliant?", "Can be said otherwise again.", judge(directory.NotCompliant)
		c.Consequences = []desk.Consequence{{Kind: receipt.AtOnce, What: "Where policies demand a compliant device", When: "it is refused"}, {Kind: receipt.EndUnknown, What: "Its sessions and grants", When: "stay as they are"}}
	case LoseDevice.Slug:
		c.Verb, c.Question, c.Undo = LoseDevice, "Is "+name+" lost?", "Only an administrator brings it back."
		q.do = func(_ webkit.Form, act manage.Act) (string, error) {
			r, err := s.Device.ReportLost(v.Ctx(), v.Actor, id, act)
			return after(v, home, itself(r)), err
		}
	case DeleteDevice.Slug:
		action, c.Verb, c.Question = role.DeleteDevice, DeleteDevice, "Delete "+name+"?"
		q.do = func(_ webkit.Form, act manage.Act) (string, error) {
			r, err := s.Device.Delete(v.Ctx(), v.Actor, id, act)
			return after(v, home, itself(r)), err
		}
	default:
		return nil, fault.New(fault.NotFound, "There is no such page.")
	}
	o := v.Offers()
	o.May(c.Verb, action, role.Target{ID: d.User})
	c.Refusal = o.Refusal(d.User, d.Name, home)
	if c.Verb.Cuts {
		x, err := v.Exposure(d.User)
		if err != nil {
			return nil, err
		}
		c.Consequences = append(onDevice(v, x, id), desk.Consequence{Kind: receipt.EndUnknown, What: "Other devices, password and account", When: "stay as they are"})
	}
	return q, nil
}

// onDevice are the consequences of cutting what is on one device.
func onDevice(v *desk.Visit, x *relay.Exposure, id directory.DeviceID) []desk.Consequence {
	sessions, grants := 0, 0
	var ts []relay.TokenView
	for _, b := range x.Sessions {
		if b.Device == id {
			sessions++
		}
	}
	for _, g := range x.Grants {
		if g.Device == id {
			grants++
			ts = append(ts, g.Tokens...)
		}
	}
	return v.Consequences(x, sessions, grants, ts)
}

func (s *Server) actDevice(v *desk.Visit) error {
	q, err := s.askDevice(v)
	if err != nil {
		return err
	}
	return answer(v, q)
}

// itself is the page of the receipt of what ended; empty: nothing did.
func itself(r *factor.Receipt) string {
	if r == nil {
		return ""
	}
	return desk.ReceiptPath(r.ID)
}
