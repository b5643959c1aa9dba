package again

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// caeOutside tells the server that the resource sees another address than it does.
const caeOutside = "10012"

// Claims ask for a token that was judged anew (reference/entra.md §5): "mint me one
// newer than now". The value is this guard's clock, wall ns, so the server takes it as
// "judge again" and never compares it. outside: the guard sees an address at which the
// token is not good.
func Claims(wall int64, outside bool) string {
	c := `{"access_token":{"nbf":{"essential":true,"value":"` + strconv.FormatInt(wall/int64(time.Second), 10) + `"}`
	if outside {
		c += `,"xms_caeerror":{"value":"` + caeOutside + `"}`
	}
	return base64.StdEncoding.EncodeToString([]byte(c + `}}`))
}

// StepUpClaims asks for an authentication context in the way Microsoft's
// libraries hand on to the authorization endpoint (reference/entra.md §5).
func StepUpClaims(acrs []string) string {
	wanted := map[string]any{"essential": true}
	if len(acrs) == 1 {
		wanted["value"] = acrs[0]
	} else {
		wanted["values"] = acrs
	}
	b, err := json.Marshal(map[string]any{"access_token": map[string]any{"acrs": wanted}})
	if err != nil {
		panic(err) // texts always marshal
	}
	return base64.StdEncoding.EncodeToString(b)
}
