package mail

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Writer makes letters out of what happened.
type Writer struct {
	Directory string // what people call it
	Base      string // public URL
}

// What is the part of a letter that differs.
type What struct {
	To   string // the address that the directory has
	Name string // of the person
	At   time.Time
	IP   string // where it was done; empty: not told
}

// ResetLink is the letter with the link of a reset.
func (w Writer) ResetLink(x What, path string, minutes int) *Letter {
	return w.letter(x, "Set a new password",
		"somebody, you we hope, wants to set a new password for your account. To do so, open",
		"    "+w.Base+path,
		fmt.Sprintf("within %d minutes. The link is good once. Whoever is signed in as you is signed out by it, everywhere.", minutes),
		"If it was not you, do nothing: without the link nothing changes. Give it to nobody.")
}

// NoReset tells somebody who holds a role that they are not reset by mail.
func (w Writer) NoReset(x What) *Letter {
	return w.letter(x, "Your password cannot be reset by mail",
		"somebody, you we hope, wants to set a new password for your account. It holds rights in the directory, and is not reset by mail: ask another administrator.",
		"If it was not you, do nothing.")
}

// PasswordChanged tells of a new password.
func (w Writer) PasswordChanged(x What) *Letter {
	return w.letter(x, "Your password was changed", "the password of your account was changed"+w.where(x)+".", w.notYou())
}

// MethodAdded tells of a method that was registered or given.
func (w Writer) MethodAdded(x What, method string) *Letter {
	return w.letter(x, "A way to sign in was added", "a way to prove who you are was added to your account"+w.where(x)+": "+method+".", w.notYou())
}

// MethodRemoved tells of a method that was taken away.
func (w Writer) MethodRemoved(x What, method string) *Letter {
	return w.letter(x, "A way to sign in was removed", "a way to prove who you are was removed from your account"+w.where(x)+": "+method+". What was signed in elsewhere has ended.", w.notYou())
}

// CodeUsed tells of a recovery code that was used.
func (w Writer) CodeUsed(x What, left int) *Letter {
	return w.letter(x, "A recovery code was used", fmt.Sprintf("a recovery code of your account was used%s. There are %d left.", w.where(x), left), w.notYou())
}

// KeyCopied tells of a passkey whose counter went back.
func (w Writer) KeyCopied(x What, method string) *Letter {
	return w.letter(x, "A passkey was refused", "a passkey of your account was refused, because there may be a copy of it: "+method+w.where(x)+".", "Remove it, and register another one.", w.notYou())
}

// Attacked tells of many wrong tries.
func (w Writer) Attacked(x What) *Letter {
	return w.letter(x, "Somebody is guessing at your account",
		"many wrong passwords or codes were tried for your account, from many places. From where you are signed in already you go on as before; from elsewhere you may have to wait.",
		"If you were asked for a code while you did not sign in, somebody knows your password: change it.")
}

// SparedUsed tells an administrator that an account was used that no policy touches.
func (w Writer) SparedUsed(x What, account string) *Letter {
	return w.letter(x, "An account that no policy touches was used",
		"the account "+line(account)+" was used"+w.where(x)+". No conditional access policy touches it: it is there for the day on which nobody else gets in.",
		"If none of you did it, revoke it now: curfew revoke user "+line(account)+", or "+w.Base+"/portal.")
}

func (w Writer) where(x What) string {
	s := ""
	if !x.At.IsZero() {
		s = " on " + x.At.UTC().Format("2 January 2006, 15:04") + " UTC"
	}
	if x.IP != "" {
		s += ", from the address " + line(x.IP)
	}
	return s
}

func (w Writer) notYou() string {
	return "If it was not you, sign out everywhere at " + w.Base + "/account and tell an administrator."
}

func (w Writer) letter(x What, subject string, paragraphs ...string) *Letter {
	name := line(x.Name)
	if name == "" {
		name = "you"
	}
	text := "Hello " + name + ",\n\n" + strings.Join(paragraphs, "\n\n") + "\n\n-- \n" + line(w.Directory) + "\n" + w.Base + "\n"
	return &Letter{To: x.To, Subject: line(w.Directory) + ": " + subject, Text: text}
}

// line is a text from the directory as it stands in one line of a letter.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSpace(s)
}
