package webkittest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Device is a browser that has a key, without a page: it answers what the script of
// the pages of devices answers, for who is signed in by the client's cookies.
type Device struct {
	Client *http.Client
	Base   string
	ID     string // once it is registered
	key    *ecdsa.PrivateKey
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

// SignIn signs somebody in by the sign-in page.
func (d *Device) SignIn(user, password string) error {
	res, err := d.Client.Get(d.Base + "/signin")
	if err != nil {
		return err
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return err
	}
	form := url.Values{"username": {user}, "password": {password}}
	for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	if res, err = d.Client.PostForm(d.Base+"/signin", form); err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode/100 == 4 {
		return fmt.Errorf("sign in: %s", res.Status)
	}
	return nil
}

// Ask posts what the script posts. An answer that is no JSON is an error.
func (d *Device) Ask(path string, in any) (status int, out map[string]any, err error) {
	b, err := json.Marshal(in)
	if err != nil {
		return 0, nil, err
	}
	res, err := d.Client.Post(d.Base+"/account/devices"+path, "application/json", strings.NewReader(string(b)))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	return res.StatusCode, out, json.NewDecoder(res.Body).Decode(&out)
}

func (d *Device) sign(key *ecdsa.PrivateKey, c map[string]any, purpose string) (string, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "curfew device\n%s\n%s\n%s", c["origin"], purpose, c["challenge"]))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}

// Register registers it and returns what was answered. One that is refused stays
// what it was.
func (d *Device) Register(name string) (int, error) {
	status, c, err := d.Ask("/register/challenge", struct{}{})
	if err != nil || status != http.StatusOK {
		return status, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		return 0, err
	}
	signature, err := d.sign(key, c, "register")
	if err != nil {
		return 0, err
	}
	status, out, err := d.Ask("/register", map[string]any{"name": name, "challenge": c["challenge"], "key": base64.RawURLEncoding.EncodeToString(raw), "signature": signature})
	if id, ok := out["device"].(string); err == nil && ok {
		d.ID, d.key = id, key
	}
	return status, err
}

// Prove answers the page that recognises browsers.
func (d *Device) Prove() (int, error) {
	status, c, err := d.Ask("/recognise/challenge", struct{}{})
	if err != nil || status != http.StatusOK {
		return status, err
	}
	signature, err := d.sign(d.key, c, "recognise")
	if err != nil {
		return 0, err
	}
	status, _, err = d.Ask("/recognise", map[string]any{"challenge": c["challenge"], "proofs": []any{map[string]any{"device": d.ID, "signature": signature}}})
	return status, err
}
