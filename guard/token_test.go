package guard_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

var b64 = base64.RawURLEncoding.EncodeToString

func with(name string, v any) guardtest.Token {
	return guardtest.Token{Claims: map[string]any{name: v}}
}

func head(name string, v any) guardtest.Token {
	return guardtest.Token{Header: map[string]any{name: v}}
}

// Every one of these must be refused as invalid, however fresh the guard is.
func TestInvalidTokensAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut() // position 1, so that born 0 differs from the head
		g := srv.Guard(t)
		good := srv.Token(guardtest.Token{})
		want(t, g, good, 0)
		parts := strings.Split(good, ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		kid, pub := srv.Key()
		header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}
		// raw signs a payload as it is.
		raw := func(p string) string { return srv.Sign(header, []byte(p)) }
		// plus adds text before the closing brace of the payload.
		plus := func(p string) string { return raw(strings.TrimSuffix(string(payload), "}") + p + "}") }

		chained := func(gids, act any) string {
			return srv.Token(guardtest.Token{Claims: map[string]any{"gids": gids, "act": act}})
		}

		other := guardtest.NewPiped(t)
		otherKid, _ := other.Key()
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		hs := func(secret []byte) string {
			h := b64([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"` + kid + `"}`))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(h + "." + parts[1]))
			return h + "." + parts[1] + "." + b64(mac.Sum(nil))
		}
		cases := map[string]string{
			"two parts":                    parts[0] + "." + parts[1],
			"four parts":                   good + ".x",
			"five parts":                   good + ".x.y",
			"empty header":                 "." + parts[1] + "." + parts[2],
			"empty signature":              parts[0] + "." + parts[1] + ".",
			"only dots":                    "..",
			"not base64":                   "~~~." + parts[1] + "." + parts[2],
			"padding":                      parts[0] + "." + parts[1] + "." + parts[2] + "==",
			"standard base64":              parts[0] + "." + parts[1] + "." + strings.Repeat("+/", 43),
			"line end in signature":        parts[0] + "." + parts[1] + "." + parts[2] + "\n",
			"line end in header":           parts[0] + "\r\n." + parts[1] + "." + parts[2],
			"trailing bits":                trailingBits(good),
			"huge":                         good + strings.Repeat("A", guard.MaxTokenLen),
			"huge but genuine":             srv.Token(with("x", strings.Repeat("x", guard.MaxTokenLen))),
			"alg none":                     b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + parts[1] + ".AA",
			"alg none without signature":   b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
			"HS256 with the public key":    hs(der),
			"HS256 with the raw key":       hs([]byte(kid)),
			"alg of another key":           srv.Token(head("alg", "RS256")),
			"alg in lower case":            srv.Token(head("alg", "es256")),
			"alg missing":                  srv.Token(head("alg", nil)),
			"alg a number":                 srv.Token(head("alg", 256)),
			"kid missing":                  srv.Token(head("kid", nil)),
			"kid empty":                    srv.Token(head("kid", "")),
			"kid a number":                 srv.Token(head("kid", 1)),
			"kid unknown":                  srv.Token(head("kid", "nobody")),
			"kid of another server":        srv.Token(head("kid", otherKid)),
			"typ missing":                  srv.Token(head("typ", nil)),
			"typ of an ID token":           srv.Token(head("typ", "JWT")),
			"typ of a logout token":        srv.Token(head("typ", "logout+jwt")),
			"crit":                         srv.Token(head("crit", []string{"exp"})),
			"crit empty":                   srv.Token(head("crit", []string{})),
			"own key in the header":        other.Token(guardtest.Token{Header: map[string]any{"jwk": map[string]any{"kty": "EC"}, "kid": kid}}),
			"header not an object":         srv.SignRaw([]byte(`[]`), payload),
			"header with two alg":          srv.SignRaw([]byte(`{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`), payload),
			"header with something after":  srv.SignRaw([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"} {}`), payload),
			"changed payload":              parts[0] + "." + b64([]byte(strings.Replace(string(payload), `"1"`, `"2"`, 1))) + "." + parts[2],
			"changed signature":            parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),
			"short signature":              parts[0] + "." + parts[1] + "." + b64(make([]byte, 63)),
			"signature in ASN.1":           parts[0] + "." + parts[1] + "." + b64(make([]byte, 70)),
			"foreign issuer":               srv.Token(with("iss", "https://evil.example")),
			"issuer with a slash":          srv.Token(with("iss", srv.URL+"/")),
			"issuer missing":               srv.Token(with("iss", nil)),
			"issuer a list":                srv.Token(with("iss", []string{srv.URL})),
			"signed by another server":     other.Token(with("iss", srv.URL)),
			"aud of another resource":      srv.Token(with("aud", "api://drive")),
			"aud a list":                   srv.Token(with("aud", []string{guardtest.Audience})),
			"aud in capitals":              srv.Token(with("aud", "API://MAIL")),
			"aud missing":                  srv.Token(with("aud", nil)),
			"aud null":                     plus(`,"aud":null`),
			"no born":                      srv.Token(with("born", nil)),
			"born a string":                srv.Token(with("born", "1")),
			"born a fraction":              srv.Token(with("born", 1.5)),
			"born negative":                srv.Token(with("born", -1)),
			"born beyond 53 bits":          srv.Token(with("born", int64(1)<<53)),
			"born with exponent":           raw(strings.Replace(string(payload), `"born":1`, `"born":1e9`, 1)),
			"born null":                    raw(strings.Replace(string(payload), `"born":1`, `"born":null`, 1)),
			"born twice":                   plus(`,"born":99`),
			"born twice, once escaped":     plus(`,"\u0062orn":99`),
			"another member twice":         plus(`,"x":1,"x":1`),
			"twice, deep inside":           plus(`,"x":{"y":[{"z":1,"z":2}]}`),
			"exp missing":                  srv.Token(with("exp", nil)),
			"exp a string":                 srv.Token(with("exp", "4102444800")),
			"exp a fraction":               srv.Token(with("exp", 4102444800.5)),
			"expired":                      srv.Token(guardtest.Token{Life: -time.Second}),
			"expires now":                  srv.Token(with("exp", time.Now().Unix())),
			"exp negative":                 srv.Token(with("exp", -5)),
			"not yet":                      srv.Token(with("nbf", time.Now().Unix()+31)),
			"nbf a string":                 srv.Token(with("nbf", "0")),
			"iat missing":                  srv.Token(with("iat", nil)),
			"sub missing":                  srv.Token(with("sub", nil)),
			"oid missing":                  srv.Token(with("oid", nil)),
			"oid empty":                    srv.Token(with("oid", "")),
			"client_id missing":            srv.Token(with("client_id", nil)),
			"gid missing":                  srv.Token(with("gid", nil)),
			"sid a number":                 srv.Token(with("sid", 5)),
			"scp a list":                   srv.Token(with("scp", []string{"a"})),
			"roles a string":               srv.Token(with("roles", "admin")),
			"roles of numbers":             srv.Token(with("roles", []int{1})),
			"bound to a key":               srv.Token(with("cnf", map[string]any{"jkt": "x"})),
			"gids without act":             chained([]string{"g1"}, nil),
			"act without gids":             chained(nil, act("outlook", "web")),
			"gids empty":                   chained([]string{}, act("outlook")),
			"gids empty and no act":        chained([]string{}, nil),
			"gids null":                    plus(`,"gids":null,"act":{"sub":"outlook","act":{"sub":"web"}}`),
			"gids a string":                chained("g1", act("outlook", "web")),
			"gids of numbers":              chained([]int{1}, act("outlook", "web")),
			"an empty gid among gids":      chained([]string{"g1", ""}, act("outlook", "web", "phone")),
			"act a string":                 chained([]string{"g1"}, "outlook"),
			"act null":                     plus(`,"gids":["g1"],"act":null`),
			"act of somebody else":         chained([]string{"g1"}, act("mallory", "web")),
			"act too short":                chained([]string{"g1", "g2"}, act("outlook", "web")),
			"act too long":                 chained([]string{"g1"}, act("outlook", "web", "phone")),
			"act without sub":              chained([]string{"g1"}, map[string]any{"sub": "outlook", "act": map[string]any{"iss": "x"}}),
			"act with an empty sub":        chained([]string{"g1"}, act("outlook", "")),
			"act with a number for sub":    chained([]string{"g1"}, map[string]any{"sub": "outlook", "act": map[string]any{"sub": 5}}),
			"act twice inside":             plus(`,"gids":["g1"],"act":{"sub":"outlook","act":{"sub":"web"},"act":{"sub":"phone"}}`),
			"a chain longer than allowed":  chained([]string{"1", "2", "3", "4", "5"}, act("outlook", "a", "b", "c", "d", "e")),
			"a chain of an application":    srv.Token(guardtest.Token{AppOnly: true, Claims: map[string]any{"gids": []string{"g1"}, "act": act("outlook", "web")}}),
			"payload not JSON":             raw(`hello`),
			"payload a list":               raw(`[]`),
			"payload empty object":         raw(`{}`),
			"payload with something after": raw(string(payload) + "x"),
			"payload not UTF-8":            plus(",\"x\":\"\xff\""),
			"lone surrogate":               plus(`,"x":"\ud800"`),
			"too deep":                     plus(`,"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50)),
			"too many members":             raw(many(claims)),
			"NaN":                          plus(`,"x":NaN`),
			"leading zero":                 plus(`,"x":01`),
			"trailing comma":               plus(`,`),
		}
		for name, token := range cases {
			if k := kind(g, token); k != guard.Invalid {
				t.Errorf("%s: %v, want invalid", name, k)
			}
			if k := kind(g, token); k != guard.Invalid {
				t.Errorf("%s, shown again: %v, want invalid", name, k)
			}
		}
		if k := kind(g, ""); k != guard.Missing {
			t.Errorf("empty: %v, want missing", k)
		}
		for name, token := range map[string]string{
			"typ in full":                srv.Token(head("typ", "application/AT+JWT")),
			"another header member":      srv.Token(head("x5t", "abc")),
			"tenant's issuer":            srv.Token(with("iss", srv.URL+"/"+guardtest.Tenant+"/v2.0")),
			"born at the beginning":      srv.Token(with("born", 0)),
			"born beyond what we know":   srv.Token(with("born", 1000)),
			"nbf within leeway":          srv.Token(with("nbf", time.Now().Unix()+29)),
			"no nbf":                     srv.Token(with("nbf", nil)),
			"app-only":                   srv.Token(guardtest.Token{AppOnly: true}),
			"the longest chain":          chained([]string{"1", "2", "3", "4"}, act("outlook", "a", "b", "c", "d")),
			"unknown claims of any kind": plus(` , "x" : [1.5e3, -0, true, false, null, {"a":"\ud83d\ude00 \"\\ \n"}] `),
			"expires in the year 9999":   srv.Token(with("exp", int64(253402300799))),
		} {
			if k := kind(g, token); k != 0 {
				_, err := g.Check(token)
				t.Errorf("%s: %v (%v), want accepted", name, k, err)
			}
		}
	})
}

// act is the claim of RFC 8693 §4.1: who acts, and inside it who acted before.
func act(apps ...string) any {
	if len(apps) == 0 {
		return nil
	}
	a := map[string]any{"sub": apps[0]}
	if rest := act(apps[1:]...); rest != nil {
		a["act"] = rest
	}
	return a
}

// A token that was made from another one ends with it, and with every
// application that it came through.
func TestTokenOfAChainEndsWithWhatItWasMadeFrom(t *testing.T) {
	for _, c := range []struct {
		name   string
		cut    cutoff.Cutoff
		covers bool
	}{
		{"the grant it was made from", cutoff.Cutoff{Scope: cutoff.Grant, ID: "g2", Reach: cutoff.Everything}, true},
		{"the grant at the root", cutoff.Cutoff{Scope: cutoff.Grant, ID: "g1", Reach: cutoff.Tokens}, true},
		{"an application on the way", cutoff.Cutoff{Scope: cutoff.App, ID: "drive", Reach: cutoff.Everything}, true},
		{"the application at the root", cutoff.Cutoff{Scope: cutoff.App, ID: "web", Reach: cutoff.Everything}, true},
		{"the person in the application at the root", cutoff.Cutoff{Scope: cutoff.UserApp, ID: cutoff.UserAppID(ada, "web"), Reach: cutoff.Everything}, true},
		{"another person there", cutoff.Cutoff{Scope: cutoff.UserApp, ID: cutoff.UserAppID(grace, "web"), Reach: cutoff.Everything}, false},
		{"another grant", cutoff.Cutoff{Scope: cutoff.Grant, ID: "g4", Reach: cutoff.Everything}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *guardtest.Server) {
				g := srv.Guard(t)
				token := srv.Token(guardtest.Token{User: ada, Client: "ledger", Grant: "g3", Chain: []cutoff.Link{{Grant: "g2", App: "drive"}, {Grant: "g1", App: "web"}}})
				claims, err := g.Check(token)
				if err != nil || len(claims.Chain) != 2 || claims.Chain[0] != (cutoff.Link{Grant: "g2", App: "drive"}) || claims.Chain[1] != (cutoff.Link{Grant: "g1", App: "web"}) {
					t.Fatalf("chain %v, %v", claims, err)
				}
				srv.Cut(c.cut)
				time.Sleep(time.Second)
				if c.covers {
					want(t, g, token, guard.Revoked)
				} else {
					want(t, g, token, 0)
				}
			})
		})
	}
}

func many(claims map[string]any) string {
	c := maps.Clone(claims)
	for i := range 120 {
		c["x"+strings.Repeat("y", i)] = 1
	}
	b, _ := json.Marshal(c)
	return string(b)
}

// trailingBits changes the bits of the last character that carry nothing: a
// lax decoder would read the same signature from another string.
func trailingBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[i|1])
}

func TestTokenSeenBeforeIsStillJudged(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		token := srv.Token(guardtest.Token{User: ada, Life: time.Minute})
		early := srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"nbf": time.Now().Unix() + 40}})
		want(t, g, token, 0)
		want(t, g, early, guard.Invalid)
		time.Sleep(10 * time.Second)
		want(t, g, early, 0) // within the leeway of 30 s now
		time.Sleep(49 * time.Second)
		want(t, g, token, 0)
		time.Sleep(time.Second)
		want(t, g, token, guard.Invalid)
	})
}

func TestLeewaysAreKept(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t, func(c *guard.Config) { c.ExpiryLeeway, c.NotBeforeLeeway = time.Minute, -1 })
		token := srv.Token(guardtest.Token{Life: time.Minute})
		want(t, g, srv.Token(with("nbf", time.Now().Unix()+1)), guard.Invalid)
		time.Sleep(119 * time.Second)
		want(t, g, token, 0)
		time.Sleep(time.Second)
		want(t, g, token, guard.Invalid)
	})
}

func TestClaimsAreRead(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		srv.Cut()
		srv.Cut()
		g := srv.Guard(t)
		now := time.Now().Unix()
		c, err := g.Check(srv.Token(guardtest.Token{
			User: ada, Client: "outlook", Grant: "g", Session: "s", Device: "d", Scopes: []string{"Mail.Read", "Mail.Send"},
			Roles: []string{"Task.Run"}, ACR: "2", CP1: true,
			Claims: map[string]any{"wids": []string{"w"}, "department": "Sales"},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if c.User != ada || c.Subject != ada || c.ClientID != "outlook" || c.Grant != "g" || c.Session != "s" || c.Device != "d" ||
			c.Issuer != srv.URL || c.Audience != guardtest.Audience || c.Tenant != guardtest.Tenant || c.ID == "" ||
			c.ACR != "2" || c.AppOnly || c.Born != 2 || c.Expires.Unix() != now+3600 || c.IssuedAt.Unix() != now ||
			c.NotBefore.Unix() != now || c.AuthTime.Unix() != now || strings.Join(c.Methods, " ") != "pwd" ||
			strings.Join(c.Directory, " ") != "w" || strings.Join(c.Capabilities, " ") != "CP1" {
			t.Errorf("claims: %+v", c)
		}
		if !c.HasScope("Mail.Send") || c.HasScope("Mail") || !c.HasRole("Task.Run") || c.HasRole("task.run") {
			t.Error("scopes or roles")
		}
		var own struct{ Department string }
		if err := c.Decode(&own); err != nil || own.Department != "Sales" {
			t.Errorf("own claim: %q, %v", own.Department, err)
		}
		app, err := g.Check(srv.Token(guardtest.Token{AppOnly: true, User: grace}))
		if err != nil || !app.AppOnly || app.Grant != "" || len(app.Scopes) != 0 {
			t.Errorf("app-only: %+v, %v", app, err)
		}
	})
}

func TestEveryAlgorithmVerifiesWithItsOwnKeyOnly(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
			srv.RotateKey(alg)
			time.Sleep(6 * time.Second) // the limit on fetches for unknown kids
			good := srv.Token(guardtest.Token{})
			want(t, g, good, 0)
			for _, other := range []string{"ES256", "RS256", "EdDSA", "HS256", "PS256", "ES384", "none"} {
				if other != alg {
					want(t, g, srv.Token(head("alg", other)), guard.Invalid)
				}
			}
			p := strings.Split(good, ".")
			for _, n := range []int{0, 1, 63, 64, 65, 255, 256, 257} {
				want(t, g, p[0]+"."+p[1]+"."+b64(make([]byte, n)), guard.Invalid)
			}
		}
	})
}

func TestNewKeyIsFetchedButNotOnDemandOfStrangers(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		time.Sleep(10 * time.Second)
		before := srv.KeyFetches()
		srv.RotateKey("ES256")
		want(t, g, srv.Token(guardtest.Token{}), 0) // at first sight
		if n := srv.KeyFetches() - before; n != 1 {
			t.Fatalf("%d fetches for one new key", n)
		}
		began := time.Now()
		for i := range 600 {
			want(t, g, srv.Token(head("kid", strings.Repeat("x", i+1))), guard.Invalid)
			time.Sleep(100 * time.Millisecond)
		}
		n, most := srv.KeyFetches()-before-1, int(time.Since(began)/(5*time.Second))+1
		if n < 5 || n > most {
			t.Errorf("%d fetches for 600 invented kids in %v, want at most %d", n, time.Since(began), most)
		}
	})
}

func TestUnknownKeyWaitsForTheServerOnlySoLong(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		time.Sleep(10 * time.Second)
		srv.RotateKey("ES256")
		srv.Fail(503)
		token := srv.Token(guardtest.Token{})
		began := time.Now()
		want(t, g, token, guard.Invalid)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("a request waited %v for keys", d)
		}
		srv.Fail(0)
		time.Sleep(6 * time.Second)
		want(t, g, token, 0)
	})
}

func TestWithdrawnKeyTakesItsTokensAlong(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		kid, _ := srv.Key()
		old := srv.Token(guardtest.Token{})
		held, done := hold(t, g, old)
		defer done()
		srv.RotateKey("EdDSA")
		srv.DropKey(kid)
		want(t, g, old, 0) // nobody has told yet
		time.Sleep(6 * time.Minute)
		want(t, g, old, guard.Invalid)
		want(t, g, srv.Token(guardtest.Token{}), 0)
		if held.Err() == nil {
			t.Error("a held request outlived its key")
		}
	})
}

func TestCacheIsBoundedAndNeverMixesTokensUp(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t, func(c *guard.Config) { c.CacheSize = 32 })
		var tokens []string
		for range 300 {
			tokens = append(tokens, srv.Token(guardtest.Token{Claims: map[string]any{"jti": "same"}, User: ada}))
			tokens = append(tokens, srv.Token(guardtest.Token{Claims: map[string]any{"jti": "same"}, User: grace}))
		}
		for range 3 {
			for i, token := range tokens {
				c, err := g.Check(token)
				if err != nil || c.User != []string{ada, grace}[i%2] {
					t.Fatalf("token %d: %+v, %v", i, c, err)
				}
			}
		}
		if n := g.Cached(); n > 32 || n < 16 {
			t.Errorf("%d tokens in a cache of 32", n)
		}
		srv.Cut(cutoff.Cutoff{Scope: cutoff.All, Reach: cutoff.Tokens})
		settle()
		for _, token := range tokens {
			want(t, g, token, guard.Revoked)
		}
	})
}
