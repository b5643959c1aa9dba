// Package jose reads what tokens are made of, with the standard library alone:
// JSON without doubt, base64url, public keys, and tokens that are encrypted. The
// guard decides what of it is accepted.
package jose

import (
	"encoding/base64"
	"errors"
	"strings"
)

// The sentences are public and free of commas, as those of the guard are.
var (
	ErrForm   = errors.New("the token is not a signed access token in compact form")
	ErrHeader = errors.New("the token header is malformed or names something this service does not accept")
	ErrSealed = errors.New("the token is encrypted and this service cannot read it")
)

var rawURL = base64.RawURLEncoding.Strict()

// Decode64 is strict base64url. The library's decoder skips line ends.
func Decode64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := rawURL.DecodeString(s)
	return b, err == nil
}
