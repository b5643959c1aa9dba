package client

import (
	"context"
	"time"
)

// Device is a browser that somebody registered, as Graph writes it.
type Device struct {
	ID              string     `json:"id"`
	DisplayName     string     `json:"displayName"`
	AccountEnabled  bool       `json:"accountEnabled"`
	OperatingSystem string     `json:"operatingSystem"`
	IsCompliant     *bool      `json:"isCompliant"` // nil: nobody has said
	TrustType       string     `json:"trustType"`
	Registered      time.Time  `json:"registrationDateTime"`
	LastSeen        time.Time  `json:"approximateLastSignInDateTime"`
	Owner           DeviceUser `json:"@curfew.owner"`
	ReportedLost    *time.Time `json:"@curfew.lostDateTime"`
}

// DeviceUser is whose a device is.
type DeviceUser struct {
	ID   string `json:"id"`
	Name string `json:"userPrincipalName"`
}

// Devices lists everybody's devices.
func (c *Client) Devices(ctx context.Context) ([]*Device, error) {
	return all[Device](ctx, c, "/devices", nil)
}

// DevicesOf lists a user's, by object id.
func (c *Client) DevicesOf(ctx context.Context, user string) ([]*Device, error) {
	return all[Device](ctx, c, at("users", user, "registeredDevices"), nil)
}

// Device returns one by its id.
func (c *Client) Device(ctx context.Context, id string) (*Device, error) {
	d := &Device{}
	return d, c.do(ctx, call{method: "GET", path: at("devices", id)}, d)
}

// UpdateDevice sets properties under the names of [Device].
func (c *Client) UpdateDevice(ctx context.Context, id string, set map[string]any, act Act) (Done, error) {
	return c.change(ctx, call{method: "PATCH", path: at("devices", id), in: set}, act, nil)
}

// DeleteDevice forgets a device and ends what is on it.
func (c *Client) DeleteDevice(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: at("devices", id)}, act, nil)
}

// ReportDeviceLost disables a device and ends what is on it.
func (c *Client) ReportDeviceLost(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: "/curfew" + at("devices", id, "lost")}, act, nil)
}

// RevokeDevice ends what is on a device, which stays registered.
func (c *Client) RevokeDevice(ctx context.Context, id string, act Act) (*Cut, error) {
	return c.revoke(ctx, at("devices", id, "revoke"), act, nil)
}
