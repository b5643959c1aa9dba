package guardtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// Token says what to put into an access token. The zero Token is a good one of
// nobody in particular, born now, good for an hour.
type Token struct {
	User    string // oid; zero: a fixed person
	Client  string // client_id; zero: "outlook"
	Grant   string // gid; zero: a fixed grant, none for AppOnly
	Session string // sid; zero: none
	Device  string // deviceid; zero: none
	// Chain is what the grant was made from, nearest first (gids and act).
	Chain   []cutoff.Link
	Scopes  []string
	Roles   []string
	ACR     string
	AppOnly bool
	CP1     bool          // the client understands claims challenges
	Life    time.Duration // zero: 1 h
	Born    cutoff.Pos    // zero: the head; see Claims for a born of 0

	// Claims are laid over the rest; a nil value removes a claim. Header
	// likewise.
	Claims map[string]any
	Header map[string]any
}

// Token mints an access token.
func (s *Server) Token(o Token) string {
	s.mu.Lock()
	now, head, kid := s.now(), s.head(), s.current
	s.mu.Unlock()
	or := func(v, zero string) string {
		if v == "" {
			return zero
		}
		return v
	}
	user := or(o.User, "a0a0a0a0-0000-4000-8000-0000000000ad")
	client := or(o.Client, "outlook")
	life := o.Life
	if life == 0 {
		life = time.Hour
	}
	born := o.Born
	if born == 0 {
		born = head
	}
	id := randomID()
	c := map[string]any{
		"iss": s.URL, "sub": user, "oid": user, "tid": Tenant, "aud": Audience,
		"client_id": client, "azp": client, "ver": "2.0", "jti": id, "uti": id,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(life).Unix(), "auth_time": now.Unix(),
		"amr": []string{"pwd"}, "acr": or(o.ACR, "1"), "born": born, "scp": strings.Join(o.Scopes, " "),
		"gid": or(o.Grant, "9a9a9a9a-0000-4000-8000-0000000000ad"),
	}
	if o.AppOnly {
		c["idtyp"] = "app"
		for _, name := range []string{"gid", "scp", "auth_time", "amr", "acr"} {
			delete(c, name)
		}
	}
	for name, v := range map[string]string{"sid": o.Session, "deviceid": o.Device} {
		if v != "" {
			c[name] = v
		}
	}
	if len(o.Roles) > 0 {
		c["roles"] = o.Roles
	}
	if len(o.Chain) > 0 {
		c["gids"], c["act"] = chain(client, o.Chain)
	}
	if o.CP1 {
		c["xms_cc"] = []string{"CP1"}
	}
	s.mu.Lock()
	alg := s.keys[kid].alg
	s.mu.Unlock()
	h := map[string]any{"alg": alg, "typ": "at+jwt", "kid": kid}
	lay(c, o.Claims)
	lay(h, o.Header)
	return s.Sign(h, marshal(c))
}

// chain renders the two claims of a token that was made from another one.
func chain(client string, links []cutoff.Link) (gids []string, act map[string]any) {
	act = map[string]any{"sub": client}
	in := act
	for _, l := range links {
		gids = append(gids, l.Grant)
		before := map[string]any{"sub": l.App}
		in["act"], in = before, before
	}
	return gids, act
}

func lay(onto, over map[string]any) {
	for name, v := range over {
		if v == nil {
			delete(onto, name)
		} else {
			onto[name] = v
		}
	}
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test gave a claim that is not JSON
	}
	return b
}

// Sign signs any bytes under any header with the current key, whatever the
// header says: for tokens that must be refused.
func (s *Server) Sign(header map[string]any, payload []byte) string {
	return s.SignRaw(marshal(header), payload)
}

// SignRaw is Sign for headers that are not even JSON.
func (s *Server) SignRaw(header, payload []byte) string {
	s.mu.Lock()
	k := s.keys[s.current]
	s.mu.Unlock()
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(header) + "." + b64(payload)
	return signed + "." + b64(sign(k, signed))
}

func sign(k signer, signed string) []byte {
	d := sha256.Sum256([]byte(signed))
	switch priv := k.priv.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, priv, d[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		sig, err := rsa.SignPKCS1v15(nil, priv, crypto.SHA256, d[:])
		if err != nil {
			panic(err)
		}
		return sig
	}
	return ed25519.Sign(k.priv.(ed25519.PrivateKey), []byte(signed))
}

// RotateKey makes a new key for alg (ES256, RS256 or EdDSA) and signs with it
// from now on. The old ones stay published until DropKey.
func (s *Server) RotateKey(alg string) (kid string) {
	kid = s.PublishKey(alg)
	s.UseKey(kid)
	return kid
}

// UseKey signs with a published key from now on.
func (s *Server) UseKey(kid string) {
	s.mu.Lock()
	s.current = kid
	s.mu.Unlock()
}

// PublishKey makes and publishes a new key for alg that does not sign yet.
func (s *Server) PublishKey(alg string) (kid string) {
	var priv crypto.Signer
	var err error
	switch alg {
	case "ES256":
		priv, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		priv, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, priv, err = ed25519.GenerateKey(rand.Reader)
	default:
		s.t.Fatalf("guardtest: no algorithm %q", alg)
	}
	if err != nil {
		panic(err)
	}
	kid = randomID()
	s.mu.Lock()
	s.keys[kid] = signer{alg, priv}
	s.mu.Unlock()
	return kid
}

// DropKey withdraws a key from the published set.
func (s *Server) DropKey(kid string) {
	s.mu.Lock()
	delete(s.keys, kid)
	s.mu.Unlock()
}

// Key returns the id and the public half of the key that signs.
func (s *Server) Key() (kid string, pub crypto.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.keys[s.current].priv.Public()
}

// KeyFetches returns how often the keys were fetched.
func (s *Server) KeyFetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyloads
}

func (s *Server) getKeys(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyloads++
	if s.faults.silent || s.faults.down != 0 {
		fail(w, http.StatusServiceUnavailable, "temporarily_unavailable")
		return
	}
	w.Header().Set("Curfew-Position", strconv.FormatInt(int64(s.head()), 10))
	list := []map[string]any{}
	b64 := base64.RawURLEncoding.EncodeToString
	for kid, k := range s.keys {
		j := map[string]any{"kid": kid, "alg": k.alg, "use": "sig"}
		switch pub := k.priv.Public().(type) {
		case *ecdsa.PublicKey:
			point, err := pub.Bytes() // 4, x, y
			if err != nil {
				panic(err)
			}
			j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
		case *rsa.PublicKey:
			j["kty"], j["n"], j["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
		case ed25519.PublicKey:
			j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(pub)
		}
		list = append(list, j)
	}
	reply(w, http.StatusOK, map[string]any{"keys": list})
}
