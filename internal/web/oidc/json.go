package oidc

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
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
func send(w http.ResponseWriter, b []byte) error { return answer(w, http.StatusOK, b) }

func answer(w http.ResponseWriter, status int, b []byte) error {
	private(w)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	w.Write(b) // who does not read it asks again
	return nil
}

// clientInfo is how Microsoft's libraries name an account: {uid, utid}, base64url
// without padding.
func clientInfo(user, tenant string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"` + user + `","utid":"` + tenant + `"}`))
}
