package jose

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// Encrypted tokens (RFC 7516): a signed one inside (RFC 7519 §11.2), its key
// handed over by RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW, its content under
// A256GCM. Encryption says nothing about who made a token: anybody can encrypt
// to a public key. What is inside is verified like any other token.

// contentKeySize is that of A256GCM, in bytes.
const contentKeySize = 32

// MaxDecrypters bounds the private keys of a guard: each is tried.
const MaxDecrypters = 8

// Decrypter is one private key: either an RSA or an elliptic one.
type Decrypter struct {
	rsa *rsa.PrivateKey
	ec  *ecdh.PrivateKey
	crv string // of ec, as a JWK spells it
}

// NewDecrypter checks a private key.
func NewDecrypter(key crypto.PrivateKey) (d Decrypter, err error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k == nil || k.N == nil || k.N.BitLen() < 2048 {
			return d, errors.New("an RSA key needs 2048 bits")
		}
		d.rsa = k
		return d, nil
	case *ecdsa.PrivateKey:
		if k == nil || k.Curve == nil {
			return d, errors.New("an elliptic key is empty")
		}
		if d.ec, err = k.ECDH(); err != nil {
			return d, err
		}
	case *ecdh.PrivateKey:
		d.ec = k
	default:
		return d, errors.New("a key is neither RSA nor elliptic")
	}
	for crv, curve := range curves {
		if d.ec != nil && d.ec.Curve() == curve {
			d.crv = crv
		}
	}
	if d.crv == "" {
		return d, errors.New("elliptic keys are on P-256, P-384 or P-521")
	}
	return d, nil
}

var curves = map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}

// Open returns the token inside an encrypted one. [ErrForm], [ErrHeader], or
// [ErrSealed] when none of the keys opens it.
func Open(token string, keys []Decrypter) (string, error) {
	s, err := readSealed(token)
	if err != nil {
		return "", err
	}
	for _, d := range keys {
		if inner, ok := s.open(d); ok {
			return inner, nil
		}
	}
	return "", ErrSealed
}

// sealed is an encrypted token taken apart.
type sealed struct {
	head             string // encoded: it is authenticated with the content
	alg              string
	crv              string // of epk, as are x and y
	epk              []byte // uncompressed point
	apu, apv         []byte
	key, iv, content []byte // content: with its tag
}

func readSealed(token string) (*sealed, error) {
	part := strings.Split(token, ".")
	head, ok := Decode64(part[0])
	if !ok {
		return nil, ErrForm
	}
	s := &sealed{head: part[0]}
	if err := s.readHead(string(head)); err != nil {
		return nil, ErrHeader
	}
	var tag []byte
	for i, to := range []*[]byte{&s.key, &s.iv, &s.content, &tag} {
		if *to, ok = Decode64(part[i+1]); !ok {
			return nil, ErrForm
		}
	}
	if len(s.iv) != 12 || len(tag) != 16 { // RFC 7518 §5.3
		return nil, ErrForm
	}
	s.content = append(s.content, tag...)
	return s, nil
}

func (s *sealed) readHead(text string) error {
	var enc, cty, x, y string
	bytes := func(r *Reader, to *[]byte) error {
		t, err := r.String()
		b, ok := Decode64(t)
		if *to = b; err == nil && !ok {
			err = ErrHeader
		}
		return err
	}
	err := ReadObject(text, func(r *Reader, name string) (err error) {
		r.Space()
		switch name {
		case "alg":
			s.alg, err = r.String()
		case "enc":
			enc, err = r.String()
		case "cty":
			cty, err = r.String()
		case "apu":
			err = bytes(r, &s.apu)
		case "apv":
			err = bytes(r, &s.apv)
		case "epk":
			err = r.Object(func(name string) (err error) {
				r.Space()
				switch name {
				case "crv":
					s.crv, err = r.String()
				case "x":
					x, err = r.String()
				case "y":
					y, err = r.String()
				default:
					err = r.Skip()
				}
				return err
			})
		case "crit", "zip":
			// We understand no extension, and unpack nothing: few bytes would
			// become many.
			err = ErrHeader
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || enc != "A256GCM" || !strings.EqualFold(cty, "JWT") {
		return ErrHeader
	}
	switch s.alg {
	case "RSA-OAEP-256":
		return nil
	case "ECDH-ES", "ECDH-ES+A256KW":
		xb, okX := Decode64(x)
		yb, okY := Decode64(y)
		if okX && okY && len(xb) == len(yb) {
			s.epk = slices.Concat([]byte{4}, xb, yb)
			return nil
		}
	}
	return ErrHeader
}

// open decrypts with one key. Whatever is wrong is wrong in the same way: the
// content is tried with a random key where there is no right one, so that nobody
// learns from the time it takes which step failed (RFC 7516 §11.5).
func (s *sealed) open(d Decrypter) (string, bool) {
	if (d.rsa != nil) != (s.alg == "RSA-OAEP-256") || d.ec != nil && d.crv != s.crv {
		return "", false
	}
	var key []byte
	if d.rsa != nil {
		key, _ = rsa.DecryptOAEP(sha256.New(), nil, d.rsa, s.key, nil) // no key: see below
	} else {
		key = s.agree(d)
	}
	if len(key) != contentKeySize {
		key = make([]byte, contentKeySize)
		rand.Read(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", false
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", false
	}
	inner, err := gcm.Open(nil, s.iv, s.content, []byte(s.head))
	return string(inner), err == nil
}

// agree is RFC 7518 §4.6: the content key, or nil.
func (s *sealed) agree(d Decrypter) []byte {
	their, err := d.ec.Curve().NewPublicKey(s.epk) // on the curve, and not its zero
	if err != nil {
		return nil
	}
	z, err := d.ec.ECDH(their)
	if err != nil {
		return nil
	}
	if s.alg == "ECDH-ES" {
		if len(s.key) != 0 {
			return nil
		}
		return s.concat(z, "A256GCM")
	}
	return unwrap(s.concat(z, s.alg), s.key)
}

// concat derives 256 bits, which is one round (RFC 7518 §4.6.2).
func (s *sealed) concat(z []byte, alg string) []byte {
	var b []byte
	counted := func(x []byte) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(x))), x...) }
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, z...)
	counted([]byte(alg))
	counted(s.apu)
	counted(s.apv)
	b = binary.BigEndian.AppendUint32(b, contentKeySize*8)
	sum := sha256.Sum256(b)
	return sum[:]
}

// unwrap is AES key unwrap (RFC 3394 §2.2.2) of one content key; nil if it was
// not wrapped under kek.
func unwrap(kek, wrapped []byte) []byte {
	const n = contentKeySize / 8
	if len(wrapped) != 8*(n+1) {
		return nil
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil
	}
	out := slices.Clone(wrapped[8:])
	var b [16]byte
	copy(b[:8], wrapped)
	for t := uint64(6 * n); t > 0; t-- {
		r := out[(t-1)%n*8:][:8]
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^t)
		copy(b[8:], r)
		block.Decrypt(b[:], b[:])
		copy(r, b[8:])
	}
	if subtle.ConstantTimeCompare(b[:8], []byte{0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6}) != 1 {
		return nil
	}
	return out
}
