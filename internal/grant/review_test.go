package grant_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
)

// Any URI without white space can name a resource. A state that cannot be read
// again would end the grant and every receipt that counts it.
func TestTheStateOfAGrantKeepsAnyResource(t *testing.T) {
	t.Parallel()
	for _, id := range []directory.ResourceID{"api://mail", "api://mail,drive", "api://mail/a|b", "https://mail.example/?a=b,c%2C=", "urn:a%7Cb", "api://%"} {
		s := grant.State{Rotated: []int64{start.UnixMicro()}, Retries: map[directory.ResourceID]int{id: 2}}
		s.Note(id, start, start.Add(time.Hour))
		again, err := grant.ParseState(s.Format())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%s: %q read back as %+v, %v", id, s.Format(), again, err)
		}
	}
}
