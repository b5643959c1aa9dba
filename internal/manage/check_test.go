package manage

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	good := NewUser{Name: "ada@contoso.example", DisplayName: "Ada Łovelace-Ångström می\u200cخواهم", Mail: "ada.l@contoso.example", Mobile: "+41 44 000 00 00", Language: "de-CH"}
	if _, err := good.user(); err != nil {
		t.Error(err)
	}
	for what, f := range map[string]func(*NewUser){
		"no display name": func(n *NewUser) { n.DisplayName = "" },
		"control":         func(n *NewUser) { n.Department = "a\tb" },
		"turned around":   func(n *NewUser) { n.DisplayName = "Ada\u202eecalevol" },
		"not utf-8":       func(n *NewUser) { n.JobTitle = "\xff" },
		"long":            func(n *NewUser) { n.Surname = strings.Repeat("ä", 65) },
		"outer space":     func(n *NewUser) { n.GivenName = "Ada " },
		"mail":            func(n *NewUser) { n.Mail = "Ada <ada@contoso.example>" },
		"mail without @":  func(n *NewUser) { n.Mail = "ada" },
		"language":        func(n *NewUser) { n.Language = "de_CH" },
	} {
		n := good
		f(&n)
		if _, err := n.user(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	s := &Service{Reserved: []string{"https://id.contoso.example/graph/"}}
	for id, ok := range map[directory.ResourceID]bool{
		"api://mail": true, "https://mail.contoso.example": true, "urn:mail": true, "0123abcd-4567-89ef-0123-456789abcdef": true, "https://id.contoso.example/graphics": true,
		"": false, "mail": false, "api://": false, "api://x#y": false, "api://a b": false, "api://*": false, "https://u@x/": false,
		"https://graph.microsoft.com": false, "https://graph.microsoft.com/": false, "HTTPS://Graph.Microsoft.com/v1.0": false, "https://graph.microsoft.com.evil": false,
		"http://graph.microsoft.com/x": false, "https://graph.microsoft.com:443": false, "00000003-0000-0000-C000-000000000000": false,
		"https://id.contoso.example/graph": false, "https://ID.contoso.example/graph/x": false, "https://id.contoso.example/graph//": false,
	} {
		if err := s.resourceID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
	h := newHouse(t, "")
	for _, id := range []directory.AppID{"https://graph.microsoft.com", "https://graph.microsoft.com/x", api, api + "/x", "a b", "curfew", "curfew-portal", "Curfew-Account"} {
		_, _, err := h.CreateApp(t.Context(), operator, NewApp{ID: id, AppPatch: AppPatch{Name: ptr("x")}}, Act{})
		want(t, err, fault.Invalid)
	}
	for _, id := range []directory.ResourceID{"https://graph.microsoft.com/x", api} {
		_, err := h.CreateResource(t.Context(), operator, id, ResourcePatch{Name: ptr("x")}, Act{})
		want(t, err, fault.Invalid)
		want(t, h.DeleteResource(t.Context(), operator, id, Act{}), fault.Invalid)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	count := map[rune]int{}
	for _, r := range pick(readable, 31000) {
		count[r]++
	}
	if len(count) != len(readable) {
		t.Errorf("%d characters", len(count))
	}
	for r, n := range count {
		if n < 800 || n > 1200 { // 1000 ± 6 σ
			t.Errorf("%c: %d", r, n)
		}
	}
	if a, b := generatePassword(), generatePassword(); a == b {
		t.Error("twice the same")
	}
}
