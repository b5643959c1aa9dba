package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A refresh token that comes again puts the account at risk, and what a policy about
// that says reaches tokens that are out.
func TestARiskReachesTokensThatAreOut(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	n.policy(t, admin, `,"userRiskLevels":["medium","high"]`, blocks)
	stolen, other := n.anew(t).signIn(t, mailScope, "ada@contoso.example"), n.anew(t).signIn(t, mailScope, "ada@contoso.example").Access
	if res := m.ask(t, "/inbox", other, ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("nothing was found yet: %d", res.StatusCode)
	}
	refresh := func(token string) (int, tokens) {
		return n.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	}
	_, second := refresh(stolen.Refresh)
	if status, _ := refresh(second.Refresh); status != http.StatusOK {
		t.Fatalf("refresh: %d", status)
	}
	if status, _ := refresh(stolen.Refresh); status != http.StatusBadRequest {
		t.Fatalf("an old refresh token: %d", status)
	}
	_, took := m.until(t, other, http.StatusUnauthorized)
	t.Logf("refused after %v", took)

	// Dismissed, the same token is let in again; confirmed, it is not.
	var user struct{ ID string }
	if err := json.Unmarshal([]byte(n.graph(t, admin, "GET", "/users/ada@contoso.example", "", 200)), &user); err != nil {
		t.Fatal(err)
	}
	here := "/identityProtection/riskyUsers/" + user.ID
	want := func(text string, all ...string) {
		t.Helper()
		for _, x := range all {
			if !strings.Contains(text, x) {
				t.Errorf("%s is not in %s", x, text)
			}
		}
	}
	want(n.graph(t, admin, "GET", here, "", 200), `"riskLevel":"medium"`, `"riskState":"atRisk"`, `"riskDetail":"none"`, `"userPrincipalName":"ada@contoso.example"`, "of reader was used again.")
	n.graph(t, admin, "POST", "/identityProtection/riskyUsers/dismiss", `{"userIds":["`+user.ID+`"]}`, 204)
	m.until(t, other, http.StatusNoContent)
	want(n.graph(t, admin, "GET", here, "", 200), `"riskLevel":"none"`, `"riskState":"dismissed"`, `"riskDetail":"adminDismissedAllRiskForUser"`, `"@curfew.reasons":[]`)
	n.graph(t, admin, "POST", "/identityProtection/riskyUsers/confirmCompromised", `{"userIds":["`+user.ID+`"]}`, 204)
	m.until(t, other, http.StatusUnauthorized)
	want(n.graph(t, admin, "GET", "/identityProtection/riskyUsers", "", 200), `"riskLevel":"high"`, `"riskState":"confirmedCompromised"`, `"riskDetail":"adminConfirmedUserCompromised"`, `#identityProtection/riskyUsers"`)
	want(n.graph(t, admin, "GET", here+"/history", "", 200), `"initiatedBy":"grace@contoso.example"`, `"riskEventTypes":["anomalousToken"]`, `"@curfew.rule":"token_reuse"`, `"@curfew.rule":"admin_dismissed"`)
	want(n.graph(t, admin, "GET", "/identityProtection/riskDetections", "", 200), `"riskEventType":"anomalousToken"`, `"activity":"user"`, `"ipAddress":"127.0.0.1"`, `"userId":"`+user.ID)
	for _, body := range []string{`{}`, `{"userIds":[]}`, `{"userIds":["ada"]}`, `{"userIds":["` + user.ID + `"],"more":1}`} {
		n.graph(t, admin, "POST", "/identityProtection/riskyUsers/confirmCompromised", body, 400)
	}
	n.graph(t, admin, "POST", "/identityProtection/riskyUsers/dismiss", `{"userIds":["0193f1c2-7b1e-7c44-9d3a-5f0e2b8a6c11"]}`, 404)
	n.graph(t, admin, "PATCH", "/curfew/riskRules/magic", `{"isEnabled":true}`, 400)
	ada := n.anew(t).signIn(t, graphScope, "ada@contoso.example").Access
	for _, path := range []string{"/identityProtection/riskyUsers", here, here + "/history", "/identityProtection/riskDetections", "/curfew/riskRules"} {
		n.graph(t, ada, "GET", path, "", 403)
	}
	n.graph(t, ada, "PATCH", "/curfew/riskRules/token_reuse", `{"isEnabled":false}`, 403)
}

// Where a rule about sign-ins is on, a sign-in at which nothing was found is spared by a
// policy about their risk; where none is, nobody knows, and the policy applies.
func TestTheRiskOfASignInIsAskedFor(t *testing.T) {
	t.Parallel()
	n := start(t, "")
	m := n.mailService(t)
	admin := n.anew(t).signIn(t, graphScope, "grace@contoso.example").Access
	mail := n.anew(t).signIn(t, mailScope, "ada@contoso.example").Access
	n.policy(t, admin, `,"signInRiskLevels":["medium","high"]`, `"grantControls":{"operator":"OR","builtInControls":["mfa"]}`)
	res, _ := m.until(t, mail, http.StatusUnauthorized)
	if parameter(res, "error") != "insufficient_user_authentication" {
		t.Errorf("a second factor is missing: %s", res.Header.Get("WWW-Authenticate"))
	}
	n.graph(t, admin, "PATCH", "/curfew/riskRules/password_spray", `{"isEnabled":true}`, 204)
	m.until(t, mail, http.StatusNoContent)
	// Somebody tries ten accounts from here, and comes in as ada.
	thief := n.anew(t)
	try := func(user, password string) {
		t.Helper()
		_, page := thief.get(t, "/signin?next=/account")
		thief.press(t, page, "username", user, "password", password)
	}
	for i := range 10 {
		try(fmt.Sprintf("person%d@contoso.example", i), "not the right one")
	}
	try("ada@contoso.example", "correct horse battery")
	if to, page := thief.mail(t); to == nil || to.Path != "/signin/second" {
		t.Errorf("the sprayed sign-in leads to %s %s, not to a second factor", to, says(page))
	}
	m.until(t, mail, http.StatusNoContent) // another sign-in, at which nothing was found
	want := n.graph(t, admin, "GET", "/identityProtection/riskDetections", "", 200)
	if !strings.Contains(want, `"riskEventType":"passwordSpray"`) || !strings.Contains(want, `"activity":"signin"`) {
		t.Errorf("found %s", want)
	}
	n.graph(t, admin, "PATCH", "/curfew/riskRules/password_spray", `{"isEnabled":false}`, 204)
	m.until(t, mail, http.StatusUnauthorized)
}
