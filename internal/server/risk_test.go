package server_test

import (
	"net/http"
	"net/url"
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
}
