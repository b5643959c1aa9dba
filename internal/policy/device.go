package policy

import "github.com/curfew-id/curfew/internal/directory"

// DeviceOf is what policies go by of a device. One that is disabled, or not there
// (nil), is none: what it was counts for nothing.
func DeviceOf(d *directory.Device) Device {
	if d == nil || !d.Enabled {
		return Device{}
	}
	out := Device{ID: d.ID}
	switch d.Compliant {
	case directory.Compliant:
		out.Compliant = Yes
	case directory.NotCompliant:
		out.Compliant = No
	}
	switch d.Trust {
	case directory.DeviceJoined:
		out.Trust = Joined
	case directory.DeviceHybrid:
		out.Trust = Hybrid
	case directory.DeviceRegistered:
		out.Trust = Registered
	}
	return out
}
