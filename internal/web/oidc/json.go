package oidc

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/curfew-id/curfew/internal/fault"
)

// quoted appends a JSON string. Tokens, scopes and sentences are nearly always
// printable ASCII; whatever is not goes the long way.
func quoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			long, err := json.Marshal(s)
			if err != nil {
				panic("oidc: " + err.Error()) // a string
			}
			return append(b, long...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func member(b []byte, name, value string) []byte {
	return quoted(append(append(append(b, `,"`...), name...), `":`...), value)
}

func number(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), n, 10)
}

// send writes a rendered answer that no cache may keep.
func send(w http.ResponseWriter, b []byte) error {
	private(w)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.Write(b) // who does not read it asks again
	return nil
}

// capable reads the claims parameter: does the client understand claims
// challenges? Its nbf ("mint one newer than this") is obeyed by judging everything
// again, as at every request; it is another machine's clock and is not compared.
func capable(claims string) (bool, error) {
	switch claims {
	case "":
		return false, nil
	case `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`:
		return true, nil
	}
	var c struct {
		AccessToken struct {
			CC struct {
				Value  string   `json:"value"`
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if json.Unmarshal([]byte(claims), &c) != nil {
		return false, &problem{kind: fault.Invalid, code: "invalid_request", number: 9002313, text: "The parameter claims is not the JSON object it should be."}
	}
	for _, v := range append(c.AccessToken.CC.Values, c.AccessToken.CC.Value) {
		if v == "CP1" || v == "cp1" || v == "Cp1" || v == "cP1" {
			return true, nil
		}
	}
	return false, nil
}

// clientInfo is how Microsoft's libraries name an account: {uid, utid}, base64url
// without padding.
func clientInfo(user, tenant string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"` + user + `","utid":"` + tenant + `"}`))
}
