package devices

import (
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Server answers about devices.
type Server struct {
	*api.Server
	Device *device.Service
}

type (
	call   = api.Call
	object = api.Object
)

// Routes are all addresses of Microsoft's that are about devices.
func (s Server) Routes() api.Routes {
	return api.Routes{
		"GET /devices":                        s.getDevices,
		"GET /devices/{id}":                   s.getDevice,
		"PATCH /devices/{id}":                 s.patchDevice,
		"DELETE /devices/{id}":                s.deleteDevice,
		"GET /users/{user}/registeredDevices": s.getOwned,
		"GET /users/{user}/ownedDevices":      s.getOwned,
	}
}

// OwnRoutes are those under /curfew.
func (s Server) OwnRoutes() api.Routes {
	return api.Routes{"POST /curfew/devices/{id}/lost": s.postLost}
}

// one is the schema of a device, and of the devices of one person.
var one = odata.Schema{
	Entity: "microsoft.graph.device",
	Filter: map[string]odata.Property{
		"id": {Field: directory.FieldID, Kind: directory.KindID}, "deviceid": {Field: directory.FieldID, Kind: directory.KindID},
		"displayname": {Field: directory.FieldDisplayName, Kind: directory.KindText}, "accountenabled": {Field: directory.FieldEnabled, Kind: directory.KindBool},
	},
	Selects: names,
}

// all is the schema of /devices. It pages, the newest first; it does not filter.
var all = odata.Schema{Entity: "microsoft.graph.device", Selects: names}

var names = []string{"id", "deviceId", "displayName", "accountEnabled", "operatingSystem", "operatingSystemVersion", "isCompliant", "isManaged", "trustType", "profileType", "deviceOwnership",
	"registrationDateTime", "createdDateTime", "approximateLastSignInDateTime"}

func deviceObject(v device.View) object {
	trust := map[directory.DeviceTrust]any{directory.DeviceJoined: "AzureAd", directory.DeviceHybrid: "ServerAd", directory.DeviceRegistered: "Workplace"}[v.Trust]
	compliant := map[directory.Compliance]any{directory.Compliant: true, directory.NotCompliant: false}[v.Compliant]
	return object{{"id", v.ID}, {"deviceId", v.ID}, {"displayName", v.Name}, {"accountEnabled", v.Enabled}, {"operatingSystem", api.TextOrNull(v.Platform)}, {"operatingSystemVersion", nil},
		{"isCompliant", compliant}, {"isManaged", nil}, {"trustType", trust}, {"profileType", "RegisteredDevice"}, {"deviceOwnership", nil},
		{"registrationDateTime", api.Instant(v.Created)}, {"createdDateTime", api.Instant(v.Created)}, {"approximateLastSignInDateTime", api.Instant(v.LastSeen)},
		{"@curfew.owner", object{{"id", v.User}, {"userPrincipalName", v.Owner}}}, {"@curfew.lostDateTime", api.Instant(v.Lost)}}
}

func deviceRow(v device.View) api.Row {
	return api.Row{ID: v.ID.String(), Item: func() object { return deviceObject(v) }, Value: func(f directory.Field) directory.Value {
		switch f {
		case directory.FieldID:
			return directory.Value{Kind: directory.KindID, Text: v.ID.String()}
		case directory.FieldDisplayName:
			return directory.Value{Kind: directory.KindText, Text: v.Name}
		case directory.FieldEnabled:
			return directory.Value{Kind: directory.KindBool, Bool: v.Enabled}
		}
		return directory.Value{}
	}}
}

func (s Server) getDevices(c *call) error {
	q, err := c.Query(&all)
	if err != nil {
		return err
	}
	if q.Count {
		return odata.Unsupported("Devices are not counted.")
	}
	dq := device.Query{Top: (&directory.UserQuery{Top: q.Top}).Limit()}
	if q.SkipToken != "" {
		if dq.Before, err = directory.ParseID[directory.Device](q.SkipToken); err != nil {
			return odata.Unreadable("The $skiptoken is not from a page of this listing.")
		}
	}
	page, next, err := s.Device.Devices(c.Ctx(), c.Actor, dq)
	if err != nil {
		return err
	}
	token := ""
	if !next.IsZero() {
		token = next.String()
	}
	value := make([]object, len(page))
	for i, v := range page {
		if value[i] = deviceObject(v); q.Select != nil {
			value[i] = value[i].Pick(q.Select)
		}
	}
	s.Page(c, "devices"+api.Selected(q.Select), -1, s.NextPage(c, token), value)
	return nil
}

func (s Server) getDevice(c *call) error {
	id, err := api.ID[directory.Device](c, "id")
	if err != nil {
		return err
	}
	v, err := s.Device.Device(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	return s.Entity(c, &one, "devices", deviceRow(v))
}

// getOwned lists a person's devices: whoever owns one is the one it is registered
// for.
func (s Server) getOwned(c *call) error {
	id, err := s.User(c)
	if err != nil {
		return err
	}
	if id.IsZero() { // an application has no devices; everybody's are elsewhere
		return fault.New(fault.NotFound, "There is no such user.")
	}
	page, _, err := s.Device.Devices(c.Ctx(), c.Actor, device.Query{User: id})
	typed := func(v device.View) api.Row { return api.Typed("device", deviceRow(v)) }
	return api.Answer(s.Server, c, &one, "directoryObjects", page, typed, err)
}

func (s Server) patchDevice(c *call) error {
	var p device.Patch
	var compliant *bool
	act, err := c.Order(odata.Form{"displayName": odata.Text(&p.Name), "accountEnabled": odata.Truth(&p.Enabled), "isCompliant": odata.Truth(&compliant)})
	if err != nil {
		return err
	}
	if compliant != nil {
		p.Compliant = new(directory.NotCompliant)
		if *compliant {
			*p.Compliant = directory.Compliant
		}
	}
	id, err := api.ID[directory.Device](c, "id")
	if err != nil {
		return err
	}
	r, err := s.Device.Change(c.Ctx(), c.Actor, id, p, act)
	return c.Finish(act, r, err)
}

func (s Server) deleteDevice(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		id, err := api.ID[directory.Device](c, "id")
		if err != nil {
			return nil, err
		}
		return s.Device.Delete(c.Ctx(), c.Actor, id, act)
	})
}

func (s Server) postLost(c *call) error {
	act, err := c.OwnOrder(odata.Form{})
	if err != nil {
		return err
	}
	id, err := api.ID[directory.Device](c, "id")
	if err != nil {
		return err
	}
	r, err := s.Device.ReportLost(c.Ctx(), c.Actor, id, act)
	return c.Finish(act, r, err)
}
