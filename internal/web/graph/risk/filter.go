package risk

import (
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/watch"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

const (
	fieldUser  directory.Field = "user"
	fieldLevel directory.Field = "level"
	fieldState directory.Field = "state"
)

// filters are what a listing can be filtered by; user is how it calls whose a row is.
func filters(user string) map[string]odata.Property {
	all := map[string]odata.Property{"risklevel": {Field: fieldLevel, Kind: directory.KindText}, "riskstate": {Field: fieldState, Kind: directory.KindText}}
	if user == "userid" {
		all[user] = odata.Property{Field: fieldUser, Kind: directory.KindID}
	}
	return all
}

// where reads comparisons by eq that are joined by and, each property once.
func where(e *directory.Expr) (q watch.Query, err error) {
	if e == nil {
		return q, nil
	}
	all := []*directory.Expr{e}
	if e.Op == directory.And {
		all = e.Args
	}
	var seen []directory.Field
	for _, e := range all {
		if e.Op != directory.Equal || len(e.Values) != 1 || slices.Contains(seen, e.Field) {
			return q, odata.Unsupported("Risk is filtered by riskLevel, riskState and userId, each once, by eq, joined by and.")
		}
		seen = append(seen, e.Field)
		v := e.Values[0].Text
		switch e.Field {
		case fieldUser:
			if q.User, err = directory.ParseID[directory.User](v); err != nil {
				return q, err
			}
		case fieldLevel:
			for l, name := range levels {
				if strings.EqualFold(name, v) {
					q.Level = max(l, policy.NoRisk)
				}
			}
			if q.Level == 0 {
				return q, odata.Unreadable("riskLevel is none, low, medium or high.")
			}
		case fieldState:
			for _, s := range []string{watch.AtRisk, watch.Compromised, watch.Dismissed, watch.Remediated} {
				if strings.EqualFold(s, v) {
					q.State = s
				}
			}
			if q.State == "" {
				return q, odata.Unreadable("riskState is atRisk, confirmedCompromised, dismissed or remediated.")
			}
		}
	}
	return q, nil
}
