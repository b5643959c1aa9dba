package factor

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
)

// RFC 6238 appendix B, SHA-1; the last six of its eight digits.
func TestTheVectorsOfTheStandard(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := hotp(secret, stepAt(time.Unix(at, 0))); got != code {
			t.Errorf("at %d: %s, want %s", at, got, code)
		}
	}
	// RFC 4226 appendix D.
	for n, code := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(secret, int64(n)); got != code {
			t.Errorf("count %d: %s, want %s", n, got, code)
		}
	}
}

func TestACodeIsGoodForAStepMoreOrLessAndOnce(t *testing.T) {
	t.Parallel()
	key := []byte("12345678901234567890")
	now := time.Unix(1_700_000_010, 0)
	here := stepAt(now)
	for off := int64(-4); off <= 4; off++ {
		want := here + off
		if off < -1 || off > 1 {
			want = 0
		}
		if got := matches(key, hotp(key, here+off), now, 0); got != want {
			t.Errorf("the code %d steps away: %d, want %d", off, got, want)
		}
	}
	for last := here - 1; last <= here+1; last++ {
		for off := int64(-1); off <= 1; off++ {
			if got := matches(key, hotp(key, here+off), now, last); (got != 0) != (here+off > last) {
				t.Errorf("the code of step %d after that of %d: %v", off, last-here, got)
			}
		}
	}
	for _, bad := range []string{"", "1", "1234567", "12345a", hotp([]byte("another"), here)} {
		if matches(key, bad, now, 0) != 0 {
			t.Errorf("%q is a code", bad)
		}
	}
}

func TestAnAuthenticatorAppProvesASecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		in := h.signIn("ada")
		n, err := h.BeginTOTP(ctx, in)
		h.must(err)
		u, err := url.Parse(n.URI)
		h.must(err)
		if q := u.Query(); u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Contoso:ada@contoso.example" || q.Get("secret") != n.Secret || q.Get("issuer") != "Contoso" || q.Get("digits") != "6" || q.Get("period") != "30" {
			t.Errorf("the address is %s", n.URI)
		}
		_, err = h.FinishTOTP(ctx, in, n.Ticket, "000000", "")
		want(t, err, fault.Unauthenticated, ErrCode)
		if s, err := h.Own(ctx, in); err != nil || len(s.Methods) != 0 {
			t.Fatalf("a wrong code registered something: %+v %v", s, err)
		}
		key := h.app(in)
		s, err := h.Own(ctx, in)
		h.must(err)
		if len(s.Methods) != 1 || s.Methods[0].Name != "Phone" || s.Methods[0].Kind != directory.MethodTOTP {
			t.Errorf("%+v", s.Methods)
		}
		wantProve(t, s.Change, true)

		// The code that registered it is used up; so is each code that was used.
		_, err = h.VerifyCode(ctx, in, hotp(key, stepAt(h.clock.now())), false)
		want(t, err, fault.Unauthenticated, ErrCode)
		code := h.code(key)
		old := in.Cookie
		p, err := h.VerifyCode(ctx, in, " "+code[:3]+" "+code[3:], false)
		h.must(err)
		if p.Cookie == "" || p.Cookie == old || h.live(old) || !h.live(p.Cookie) {
			t.Errorf("the cookie from before the second factor lives %v, the new one %v", h.live(old), h.live(p.Cookie))
		}
		in = h.at(p.Cookie)
		if got := strings.Join(in.Session.AMR, " "); got != "pwd otp" || !in.Session.SecondTime.Equal(h.clock.now()) {
			t.Errorf("amr %q, second factor at %v", got, in.Session.SecondTime)
		}
		_, err = h.VerifyCode(ctx, in, code, false)
		want(t, err, fault.Unauthenticated, ErrCode)

		// In another session too.
		_, err = h.VerifyCode(ctx, h.signIn("ada"), code, false)
		want(t, err, fault.Unauthenticated, ErrCode)
		if s, err := h.Own(ctx, in); err != nil || s.Change != nil {
			t.Errorf("after the proof: %v %v", s.Change, err)
		}
		h.clock.add(fresh + time.Second)
		if s, err := h.Own(ctx, in); err != nil || s.Change == nil {
			t.Errorf("ten minutes after the proof methods may still be changed: %v", err)
		}
		if got := h.actions(ada); strings.Join(got, ", ") != "User registered security info" {
			t.Errorf("the audit log says %v", got)
		}
		if len(h.told) != 1 || h.told[0].What != Added || h.told[0].Method != "authenticator app “Phone”" {
			t.Errorf("told %+v", h.told)
		}
	})
}

// Of many who bring one code at once, one gets in.
func TestACodeIsUsedOnceByWhoeverComesFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		h.person("ada")
		key := h.app(h.signIn("ada"))
		code := h.code(key)
		var in []*signin.Signed
		for range 5 {
			in = append(in, h.signIn("ada"))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		right := 0
		for _, x := range in {
			wg.Go(func() {
				if _, err := h.VerifyCode(t.Context(), x, code, false); err == nil {
					mu.Lock()
					right++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if right != 1 {
			t.Errorf("one code was good %d times", right)
		}
	})
}

func TestGuessingCodesIsLimitedAndShutsNobodyElseOut(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		ada := h.person("ada")
		var attacked []string
		h.SignIn.Attacked = func(u *directory.User) { attacked = append(attacked, u.Name) }
		at := h.signIn("ada") // at home
		key := h.app(at)
		p, err := h.VerifyCode(ctx, at, h.code(key), false)
		h.must(err)
		thief := h.signInFrom("ada", "198.51.100.9") // who knows the password
		for i := range 5 {
			_, err := h.VerifyCode(ctx, thief, fmt.Sprintf("%06d", i), false)
			want(t, err, fault.Unauthenticated, ErrCode)
		}
		_, err = h.VerifyCode(ctx, thief, h.code(key), false)
		want(t, err, fault.Limited, nil) // not even the right one
		// From many addresses, until the account's own limit is used up.
		limited := 0
		for i := range 30 {
			x := h.signInFrom("ada", fmt.Sprintf("203.0.113.%d", i))
			if _, err := h.VerifyCode(ctx, x, "000000", false); fault.Is(err, fault.Limited) {
				limited++
			}
		}
		if limited < 10 {
			t.Errorf("of 30 addresses only %d were refused", limited)
		}
		if len(attacked) != 1 || !strings.HasPrefix(attacked[0], "ada@") {
			t.Errorf("told of attacks on %v", attacked)
		}
		if got := h.actions(ada); !strings.Contains(strings.Join(got, ", "), "Account under attack failure") {
			t.Errorf("the audit log says %v", got)
		}
		// At the address where a second factor was given before, the owner gets in.
		home := h.at(p.Cookie)
		if _, err := h.VerifyCode(ctx, home, h.code(key), false); err != nil {
			t.Errorf("the owner is shut out: %v", err)
		}
		// The thief's session, with only a password, has made no address known.
		_, err = h.VerifyCode(ctx, h.signInFrom("ada", "203.0.113.200"), "000000", false)
		want(t, err, fault.Limited, nil)
	})
}

// Every node counts by the same row: whoever goes from one to the next has no more
// tries, and right codes cost none.
func TestAllNodesTogetherGiveNoMoreTriesOfCodes(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("ada")
		key := h.app(h.signIn("ada"))
		const most = 20
		for i := range 2 * most { // right ones, at new addresses
			h.clock.add(30 * time.Second)
			at := h.signInFrom("ada", fmt.Sprintf("192.0.2.%d", i))
			if _, err := h.VerifyCode(ctx, at, h.code(key), false); err != nil {
				t.Fatalf("right code %d: %v", i+1, err)
			}
		}
		wrong, refused := 0, 0
		for i := range 2 * most {
			h.SignIn.Limits = signin.NewLimits() // another node
			_, err := h.VerifyCode(ctx, h.signInFrom("ada", fmt.Sprintf("203.0.113.%d", i)), "000000", false)
			switch {
			case errors.Is(err, ErrCode):
				wrong++
			case fault.Is(err, fault.Limited):
				refused++
			default:
				t.Fatal(err)
			}
		}
		if wrong != most || refused != most {
			t.Errorf("%d wrong codes were looked at, %d refused", wrong, refused)
		}
	})
}
