package guardtest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// Question is what a guard asks when a token must be judged again.
type Question struct {
	Claims  map[string]any // of the token
	Pos     cutoff.Pos     // of the line that put it in doubt
	Address netip.Addr     // of whoever showed it, as the guard sees it; the zero Addr: not known
	Head    cutoff.Pos     // where the ledger stands
}

// Verdict is what the server says about it. The zero Verdict admits the token.
type Verdict struct {
	Refused string    // "policy", "step_up", "place" or "revoked"; empty: admitted
	Here    bool      // admitted from the address asked about; others are asked about again
	Until   time.Time // the token is not good any more from then; zero: as it says itself
	// Judged is the position up to which it was judged; zero: the ledger's head.
	// Below Question.Pos: by a server that does not know the line yet.
	Judged cutoff.Pos
	Status int // an error instead of an answer; zero: none
}

// JudgeAgain appends a line after which access tokens covered by cuts must be judged
// again; without cuts everybody's.
func (s *Server) JudgeAgain(cuts ...cutoff.Cutoff) cutoff.Pos {
	if len(cuts) == 0 {
		cuts = []cutoff.Cutoff{{Scope: cutoff.All}}
	}
	for i := range cuts {
		cuts[i].Reach = cutoff.Judge
	}
	return s.Cut(cuts...)
}

// Judge lets f decide about tokens that guards have judged again; nil admits what is
// not cut. f runs without any lock held, in the goroutine of the request.
func (s *Server) Judge(f func(Question) Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judge = f
}

// Asked returns how often a guard had a token judged again.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// introspect judges a token of this server again. Who cannot sign one has none to
// show, so its signature is not looked at.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	pos, err := strconv.ParseInt(r.PostFormValue("judge"), 10, 64)
	parts := strings.Split(r.PostFormValue("token"), ".")
	q := Question{Pos: cutoff.Pos(pos)}
	if err != nil || len(parts) != 3 {
		fail(w, http.StatusBadRequest, "invalid_request")
		return
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &q.Claims)
	}
	if a := r.PostFormValue("address"); err == nil && a != "" {
		q.Address, err = netip.ParseAddr(a)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request")
		return
	}
	s.mu.Lock()
	s.asked++
	judge := s.judge
	q.Head = s.head()
	dead := s.dead(q.Claims)
	s.mu.Unlock()
	v := Verdict{}
	if judge != nil {
		v = judge(q)
	}
	if dead && v.Refused == "" {
		v.Refused = "revoked"
	}
	if v.Judged == 0 {
		v.Judged = q.Head
	}
	a := map[string]any{"active": v.Refused == "", "judged": v.Judged}
	switch {
	case v.Status != 0:
		fail(w, v.Status, "temporarily_unavailable")
		return
	case v.Refused != "":
		a["refused"] = v.Refused
	default:
		a["jti"], a["exp"], a["here"] = q.Claims["jti"], q.Claims["exp"], v.Here
		if !v.Until.IsZero() {
			a["exp"] = v.Until.Unix()
		}
	}
	reply(w, http.StatusOK, a)
}

// dead reports whether a token with these claims is cut. The caller holds mu.
func (s *Server) dead(c map[string]any) bool {
	text := func(name string) string { v, _ := c[name].(string); return v }
	born, _ := c["born"].(float64)
	o := cutoff.NewOwner(cutoff.Belongs{User: text("oid"), Session: text("sid"), Grant: text("gid"), App: text("client_id"), Device: text("deviceid")})
	var set cutoff.Set
	for _, l := range s.ledger {
		set.Merge(l)
	}
	return set.Dead(&o, cutoff.Pos(born), cutoff.Token)
}
