package again

import (
	"errors"
	"strings"
	"testing"
)

func TestAnAnswerFromBeforeTheDoubtAdmitsNothing(t *testing.T) {
	t.Parallel()
	q := Question{ID: "the one", Pos: 7}
	for text, want := range map[string]error{
		`{"active":true,"judged":7,"jti":"the one"}`: nil,
		`{"active":true,"judged":6,"jti":"the one"}`: errBehind,
		`{"active":true,"jti":"the one"}`:            errBehind,
		`{"active":true,"judged":7,"jti":"another"}`: errOther,
		`{"active":false,"judged":6}`:                nil, // a refusal is one whenever it was given
	} {
		if _, err := q.Read(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}
