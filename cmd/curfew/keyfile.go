package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxKeyFile bounds a file with public keys.
const maxKeyFile = 64 << 10

// publicKeys reads the public keys of a file as JWKs: a JWK, a JWK set, or PEM
// with public keys and certificates. "-" is standard input. A private key stays on
// this machine: it is refused here, and nothing of it is repeated.
func (c *console) publicKeys(name string) ([]string, error) {
	in := c.in
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("%s is longer than 64 KiB", name)
	}
	var keys []string
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		keys, err = jwksOf(text)
	} else {
		keys, err = pemKeys(text)
	}
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("there is no public key in it: a JWK, a JWK set, or PEM with a public key or a certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return keys, nil
}

// errPrivate says what to do instead.
var errPrivate = fmt.Errorf("this is a private key, which nobody else should have. Register its public half:  openssl pkey -in FILE -pubout")

func jwksOf(text []byte) ([]string, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("this is not JSON: %w", err)
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{text}
	}
	var out []string
	for _, raw := range set.Keys {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil || members["kty"] == nil {
			return nil, fmt.Errorf("this is not a JWK: it has no kty")
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
			if _, there := members[private]; there {
				return nil, errPrivate
			}
		}
		out = append(out, string(raw))
	}
	return out, nil
}

func pemKeys(text []byte) ([]string, error) {
	var out []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var k jose.JSONWebKey
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errPrivate
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("a certificate in it cannot be read: %w", err)
			}
			k = jose.JSONWebKey{Key: cert.PublicKey, Certificates: []*x509.Certificate{cert}}
			sum := sha256.Sum256(cert.Raw)
			k.CertificateThumbprintSHA256 = sum[:]
		case block.Type == "PUBLIC KEY":
			key, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("a public key in it cannot be read: %w", err)
			}
			k = jose.JSONWebKey{Key: key}
		default:
			continue
		}
		// A key without a name gets the one that anybody can compute (RFC 7638).
		id, err := k.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("a key in it is of a kind that no token is signed with: %w", err)
		}
		k.KeyID = base64.RawURLEncoding.EncodeToString(id)
		jwk, err := k.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("a key in it is of a kind that no token is signed with: %w", err)
		}
		out = append(out, string(jwk))
	}
	return out, nil
}
