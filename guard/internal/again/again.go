package again

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/curfew-id/curfew/cutoff"
)

// Question asks for one token to be judged again.
type Question struct {
	Token   string
	ID      string     // its jti
	Pos     cutoff.Pos // of the line that put it in doubt
	Address netip.Addr // of whoever shows it; the zero Addr: not known
}

// Form is the body of the request.
func (q *Question) Form() url.Values {
	v := url.Values{"token": {q.Token}, "token_type_hint": {"access_token"}, "judge": {strconv.FormatInt(int64(q.Pos), 10)}}
	if q.Address.IsValid() {
		v.Set("address", q.Address.Unmap().WithZone("").String())
	}
	return v
}

// Why says what kind of refusal an answer is. What is not known is taken for the
// plainest.
type Why string

// The refusals.
const (
	Revoked Why = "revoked" // it is dead; the line that says so is on its way
	Policy  Why = "policy"  // a policy does not allow it
	StepUp  Why = "step_up" // not before somebody has proven who they are, again or better
	Place   Why = "place"   // not from that address
)

// Answer is what the server said.
type Answer struct {
	Active bool       `json:"active"`
	Judged cutoff.Pos `json:"judged"`
	ID     string     `json:"jti"`
	// Until is a unix time from which the token is not good any more; zero: as it
	// says itself.
	Until  int64 `json:"exp"`
	Reason Why   `json:"refused"`
	// Here: from another address the answer might be another.
	Here bool `json:"here"`
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 10

var (
	errOther  = errors.New("the answer is about another token")
	errBehind = errors.New("who answered does not know yet what put the token in doubt")
)

// Read reads the answer to q. A refusal is taken whatever was known when it was
// given; what admits must be by facts that are no older than the doubt.
func (q *Question) Read(body io.Reader) (*Answer, error) {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAnswer {
		return nil, errors.New("the answer is too long")
	}
	a := &Answer{}
	if err := json.Unmarshal(b, a); err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	switch {
	case a.Judged < 0 || a.Judged > cutoff.MaxPos || a.Until < 0:
		return nil, errors.New("a figure of the answer is out of range")
	case a.Active && a.ID != q.ID:
		return nil, errOther
	case a.Active && a.Judged < q.Pos:
		return nil, errBehind
	}
	return a, nil
}
