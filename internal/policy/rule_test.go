package policy

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
)

func TestRulesPickDevices(t *testing.T) {
	t.Parallel()
	laptop, err := directory.ParseID[directory.Device]("00000000-0000-4000-8000-00000000000a")
	if err != nil {
		t.Fatal(err)
	}
	const id = `"00000000-0000-4000-8000-00000000000A"`
	other := directory.DeviceID{1}
	for _, tt := range []struct {
		rule string
		d    Device
		want Tri
	}{
		{`device.isCompliant -eq True`, Device{ID: laptop, Compliant: Yes}, Yes},
		{`device.isCompliant -eq True`, Device{ID: laptop, Compliant: No}, No},
		{`device.isCompliant -eq True`, Device{ID: laptop}, Unknown},
		{`device.isCompliant -ne True`, Device{ID: laptop, Compliant: No}, Yes},
		{`device.isCompliant -ne True`, Device{ID: laptop}, Unknown},
		{`device.isCompliant -eq False`, Device{ID: laptop, Compliant: No}, Yes},
		{`DEVICE.TRUSTTYPE -EQ "Workplace"`, Device{ID: laptop, Trust: Registered}, Yes},
		{`device.trustType -eq 'Workplace'`, Device{ID: laptop, Trust: Joined}, No},
		{`device.trustType -in ["AzureAD","ServerAD"]`, Device{ID: laptop, Trust: Hybrid}, Yes},
		{`device.trustType -notIn ["AzureAD", "ServerAD"]`, Device{ID: laptop, Trust: Hybrid}, No},
		{`device.trustType -notIn ["AzureAD", "ServerAD"]`, Device{ID: laptop}, Unknown},
		{`device.deviceId -eq ` + id, Device{ID: laptop}, Yes},
		{`device.deviceId -ne ` + id, Device{ID: other}, Yes},
		{`device.deviceId -in [` + id + `]`, Device{ID: other}, No},
		{`device.deviceId -in [` + id + `]`, Device{}, Unknown},
		{`device.isCompliant -eq True -and device.trustType -eq "AzureAD"`, Device{ID: laptop, Compliant: Yes, Trust: Joined}, Yes},
		{`device.isCompliant -eq True -and device.trustType -eq "AzureAD"`, Device{ID: laptop, Compliant: Yes}, Unknown},
		{`device.isCompliant -eq True -and device.trustType -eq "AzureAD"`, Device{ID: laptop, Compliant: No}, No},
		{`device.isCompliant -eq True -or device.trustType -eq "AzureAD"`, Device{ID: laptop, Trust: Joined}, Yes},
		{`device.isCompliant -eq True -or device.trustType -eq "AzureAD"`, Device{ID: laptop, Trust: Hybrid}, Unknown},
		{`device.isCompliant -eq True -or device.trustType -eq "AzureAD"`, Device{ID: laptop, Compliant: No, Trust: Hybrid}, No},
		// -and binds tighter than -or.
		{`device.deviceId -eq ` + id + ` -or device.isCompliant -eq True -and device.trustType -eq "AzureAD"`, Device{ID: laptop, Compliant: No}, Yes},
		{`(device.deviceId -eq ` + id + ` -or device.isCompliant -eq True) -and device.trustType -eq "AzureAD"`, Device{ID: laptop, Trust: Hybrid}, No},
		{`-not (device.isCompliant -eq True)`, Device{ID: laptop, Compliant: No}, Yes},
		{`-not -not device.isCompliant -eq True`, Device{ID: laptop, Compliant: No}, No},
	} {
		r, err := ParseRule(tt.rule)
		if err != nil {
			t.Errorf("%s: %v", tt.rule, err)
		} else if got := r.fits(tt.d); got != tt.want {
			t.Errorf("%s fits %+v: %v, want %v", tt.rule, tt.d, got, tt.want)
		}
	}
	if (Rule{}).fits(Device{ID: laptop}) != No {
		t.Error("the zero rule fits")
	}
}

func TestRulesThatAreNotUnderstoodAreRefused(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		"", "device.isCompliant", "device.isCompliant -eq", "device.isCompliant -eq Maybe", `device.isCompliant -eq "True"`, "device.isCompliant -in [True]",
		`device.model -eq "Toaster"`, `device.trustType -eq Workplace`, `device.trustType -eq "Home"`, `device.trustType -eq ""`, `device.trustType -like "A"`, `device.deviceId -eq "laptop"`,
		`device.deviceId -eq "00000000-0000-0000-0000-000000000000"`, `device.deviceId -in []`, `device.deviceId -in ["00000000-0000-4000-8000-00000000000a"`, `device.deviceId -in "x"]`,
		`(device.isCompliant -eq True`, `device.isCompliant -eq True)`, `device.isCompliant -eq True -and`, `device.isCompliant -eq True -xor device.isCompliant -eq True`, `-not`, `device.trustType -eq "Workplace`,
		strings.Repeat("(", 40) + "device.isCompliant -eq True" + strings.Repeat(")", 40),
		strings.Repeat("-not ", 40) + "device.isCompliant -eq True",
		"device.isCompliant -eq True" + strings.Repeat(" -or device.isCompliant -eq True", 60),
	} {
		if _, err := ParseRule(rule); err == nil {
			t.Errorf("understood: %s", rule)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add(`-not (device.isCompliant -eq True -or device.trustType -in ["AzureAD"]) -and device.deviceId -ne '00000000-0000-4000-8000-00000000000a'`)
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		// Knowing more never turns a yes into a no.
		for c := Unknown; c <= No; c++ {
			for trust := NotKnown; trust <= Registered; trust++ {
				d := Device{ID: directory.DeviceID{1}, Compliant: c, Trust: trust}
				if less, more := r.fits(Device{}), r.fits(d); less != Unknown && less != more {
					t.Fatalf("%s: %v of nothing, %v of %+v", s, less, more, d)
				}
			}
		}
	})
}
