package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/curfew-id/curfew/internal/config"
)

// tlsConfig returns how to end TLS, or nil for plain http.
func tlsConfig(c config.Config, now func() time.Time) (*tls.Config, error) {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, err
	}
	switch c.TLS {
	case "off":
		return nil, nil
	case "files":
		f := &certFiles{cert: c.TLSCert, key: c.TLSKey}
		if _, err := f.get(nil); err != nil {
			return nil, fmt.Errorf("read TLS files: %w", err)
		}
		base.GetCertificate = f.get
	case "acme":
		m := &autocert.Manager{Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(u.Hostname()), Cache: autocert.DirCache(filepath.Join(c.Data, "acme"))}
		if c.ACME != "" {
			m.Client = &acme.Client{DirectoryURL: c.ACME}
		}
		base.GetCertificate = m.GetCertificate
		base.NextProtos = append(base.NextProtos, acme.ALPNProto)
	case "local":
		ca, err := localCA(c.Data, now())
		if err != nil {
			return nil, fmt.Errorf("local CA: %w", err)
		}
		leaf, err := ca.leaf(u.Hostname(), now())
		if err != nil {
			return nil, err
		}
		base.Certificates = []tls.Certificate{leaf}
	}
	return base, nil
}

// certFiles reads certificate and key again when the certificate's file changes.
type certFiles struct {
	cert, key string
	mu        sync.Mutex
	at        time.Time        // guarded by mu: modification time of what is loaded
	cur       *tls.Certificate // guarded by mu
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st, err := os.Stat(f.cert)
	if err == nil && f.cur != nil && st.ModTime().Equal(f.at) {
		return f.cur, nil
	}
	if err == nil {
		var c tls.Certificate
		if c, err = tls.LoadX509KeyPair(f.cert, f.key); err == nil {
			f.cur, f.at = &c, st.ModTime()
		}
	}
	if f.cur != nil { // half-written files: go on with what was good
		return f.cur, nil
	}
	return nil, err
}

// LocalCA returns the certificate, in PEM, of the CA that --tls local makes in
// a data folder, and makes it if it is not there.
func LocalCA(data string) ([]byte, error) {
	ca, err := localCA(data, time.Now())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// localCA reads or makes the CA: ca.pem and ca.key in the data folder. It signs
// for the names of this machine only, as far as verifiers honour that.
func localCA(data string, now time.Time) (*authority, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	certFile, keyFile := filepath.Join(data, "ca.pem"), filepath.Join(data, "ca.key")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil {
		cert, err := x509.ParseCertificate(pair.Certificate[0])
		key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
		if err != nil || !ok {
			return nil, errors.New("ca.pem or ca.key is not ours")
		}
		return &authority{cert, key}, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(raw) // RFC 5280 §4.2.1.2 names SHA-1 for key identifiers; it protects nothing here
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "curfew local CA " + now.Format("2006-01-02")},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: id[:],
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

// leaf makes a certificate for host and the names of loopback, fresh at each start.
func (a *authority) leaf(host string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: host}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
	} else if host != "localhost" {
		tmpl.DNSNames = append(tmpl.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
