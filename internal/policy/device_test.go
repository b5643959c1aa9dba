package policy

import (
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
)

func TestADeviceIsWhatItsRegistrationSays(t *testing.T) {
	id := directory.DeviceID{1}
	for name, tt := range map[string]struct {
		d    *directory.Device
		want Device
	}{
		"none":          {nil, Device{}},
		"disabled":      {&directory.Device{ID: id, Compliant: directory.Compliant, Trust: directory.DeviceRegistered}, Device{}},
		"nothing said":  {&directory.Device{ID: id, Enabled: true}, Device{ID: id}},
		"compliant":     {&directory.Device{ID: id, Enabled: true, Compliant: directory.Compliant, Trust: directory.DeviceRegistered}, Device{ID: id, Compliant: Yes, Trust: Registered}},
		"not compliant": {&directory.Device{ID: id, Enabled: true, Compliant: directory.NotCompliant, Trust: directory.DeviceJoined}, Device{ID: id, Compliant: No, Trust: Joined}},
		"hybrid":        {&directory.Device{ID: id, Enabled: true, Trust: directory.DeviceHybrid}, Device{ID: id, Trust: Hybrid}},
		"a newer word":  {&directory.Device{ID: id, Enabled: true, Compliant: 9, Trust: 9}, Device{ID: id}},
	} {
		if got := DeviceOf(tt.d); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
