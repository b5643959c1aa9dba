package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

// SMTPEnv names the environment variable that may hold the password at the mail server.
const SMTPEnv = "CURFEW_SMTP_PASSWORD"

// checkMail checks what is about letters and about being spared the second factor.
func (c *Config) checkMail() error {
	invalid := func(format string, args ...any) error { return fault.New(fault.Invalid, fmt.Sprintf(format, args...)) }
	if _, err := c.RememberFor(); err != nil {
		return err
	}
	if c.Reset != "off" && c.Reset != "mail" {
		return invalid("--password-reset is off or mail, not %q.", c.Reset)
	}
	if c.SMTP == "" {
		if c.Reset == "mail" {
			return invalid("--password-reset mail needs --smtp.")
		}
		return nil
	}
	u, err := url.Parse(c.SMTP)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" && u.Scheme != "smtp+plain":
		return invalid("--smtp must be an address such as smtp://mail.contoso.example:587.")
	case u.User != nil:
		return invalid("--smtp must hold no user and no password: --smtp-user and --smtp-password-file do.")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("--smtp must have no path or query.")
	case u.Scheme == "smtp+plain" && !Loopback(u.Hostname()):
		return invalid("--smtp may be smtp+plain on loopback only: links that reset passwords must not cross a network in the clear.")
	}
	if _, err := mail.ParseAddress(c.MailFrom); err != nil {
		return invalid("--mail-from must be an address such as curfew@contoso.example.")
	}
	return nil
}

// SMTPPassword returns the password at the mail server; empty: there is none. Kinds:
// Invalid.
func (c *Config) SMTPPassword() (string, error) {
	if p := os.Getenv(SMTPEnv); p != "" || c.SMTPFile == "" {
		return p, nil
	}
	b, err := os.ReadFile(c.SMTPFile)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, "The file of --smtp-password-file cannot be read.", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// RememberFor is for how long a browser may be spared the second factor; zero: never.
// Kinds: Invalid.
func (c *Config) RememberFor() (time.Duration, error) {
	n, err := strconv.Atoi(c.Remember)
	if c.Remember == "" {
		n, err = 0, nil
	}
	if err != nil || n < 0 || n > 365 {
		return 0, fault.New(fault.Invalid, fmt.Sprintf("--remember-second-factor is a number of days up to 365, not %q.", c.Remember))
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
