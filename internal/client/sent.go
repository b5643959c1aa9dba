package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// notSent reports whether err says that no connection came about, so that the
// request cannot have arrived.
func notSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var dns *net.DNSError
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &dns)
}

// unsent is what went wrong on our side before anything was sent.
type unsent struct{ why error }

func (e *unsent) Error() string { return e.why.Error() }
func (e *unsent) Unwrap() error { return e.why }
