package store

import (
	"fmt"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// userFields are the columns behind the fields of a query.
var userFields = map[directory.Field]string{
	directory.FieldID: "u.id", directory.FieldName: "u.name", directory.FieldDisplayName: "u.display_name", directory.FieldGivenName: "u.given_name",
	directory.FieldSurname: "u.surname", directory.FieldMail: "u.mail", directory.FieldNickname: "u.nickname", directory.FieldJobTitle: "u.job_title",
	directory.FieldDepartment: "u.department", directory.FieldOffice: "u.office", directory.FieldMobile: "u.mobile", directory.FieldLanguage: "u.language",
	directory.FieldEnabled: "u.enabled", directory.FieldCreated: "u.created", directory.FieldDeleted: "u.deleted",
}

// where builds a condition. Values only ever become arguments; columns come
// from userFields.
type where struct {
	pg    bool
	parts []string
	args  []any
}

func (w *where) and(s string)   { w.parts = append(w.parts, s) }
func (w *where) String() string { return strings.Join(w.parts, " AND ") }

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

// lower folds case as strings.ToLower does.
func (w *where) lower(col string) string {
	if w.pg {
		return `lower(` + col + ` COLLATE "und-x-icu") COLLATE "C"`
	}
	return `curfew_lower(` + col + `)`
}

// folded is a text field as strings.ToLower makes it. Display names are ordered
// by it, so they have a column with an index.
func (w *where) folded(f directory.Field) string {
	if f == directory.FieldDisplayName {
		return "u.display_fold"
	}
	return w.lower(userFields[f])
}

// value is the argument for a value of a field.
func (w *where) value(v directory.Value) string {
	switch v.Kind {
	case directory.KindBool:
		return w.arg(int64(flag(v.Bool)))
	case directory.KindTime:
		return w.arg(micros(v.Time))
	case directory.KindID:
		id, err := directory.ParseID[directory.User](v.Text)
		if err != nil {
			return w.arg([]byte{}) // equals no id
		}
		return w.arg(id[:])
	}
	return w.arg(strings.ToLower(v.Text))
}

// column is the side of the field in a comparison with a value.
func (w *where) column(f directory.Field) (string, directory.ValueKind, error) {
	c, ok := userFields[f]
	if !ok {
		return "", 0, fmt.Errorf("unknown field %q", f)
	}
	k := new(directory.User).Value(f).Kind
	if k == directory.KindText {
		c = w.folded(f)
	}
	return c, k, nil
}

// expr translates e; directory.Expr.Match says what it means.
func (w *where) expr(e *directory.Expr) (string, error) {
	switch e.Op {
	case directory.And, directory.Or:
		parts := make([]string, len(e.Args))
		for i, a := range e.Args {
			p, err := w.expr(a)
			if err != nil {
				return "", err
			}
			parts[i] = p
		}
		op := " AND "
		if e.Op == directory.Or {
			op = " OR "
		}
		return "(" + strings.Join(parts, op) + ")", nil
	case directory.Not:
		p, err := w.expr(e.Args[0])
		return "NOT (" + p + ")", err
	}
	col, kind, err := w.column(e.Field)
	if err != nil {
		return "", err
	}
	v := e.Values[0]
	switch e.Op {
	case directory.Equal, directory.In:
		if e.Field == directory.FieldName && len(e.Values) == 1 { // the one with an index
			return "(u.fold IS NOT NULL AND u.fold = " + w.arg(directory.FoldName(v.Text)) + ")", nil // a deleted user has none
		}
		parts := make([]string, len(e.Values))
		for i, v := range e.Values {
			v.Kind = kind
			parts[i] = col + " = " + w.value(v)
		}
		return "(" + strings.Join(parts, " OR ") + ")", nil
	case directory.Before, directory.AtMost, directory.After, directory.AtLeast:
		op := map[directory.Op]string{directory.Before: "<", directory.AtMost: "<=", directory.After: ">", directory.AtLeast: ">="}[e.Op]
		return fmt.Sprintf("(%s <> 0 AND %s %s %s)", col, col, op, w.arg(micros(v.Time))), nil
	case directory.StartsWith:
		x := "CAST(" + w.arg(strings.ToLower(v.Text)) + " AS TEXT)"
		return fmt.Sprintf("substr(%s, 1, length(%s)) = %s", col, x, x), nil
	case directory.EndsWith:
		if v.Text == "" {
			return "1 = 1", nil
		}
		x := "CAST(" + w.arg(strings.ToLower(v.Text)) + " AS TEXT)"
		return fmt.Sprintf("(length(%s) >= length(%s) AND substr(%s, length(%s) - length(%s) + 1) = %s)", col, x, col, col, x, x), nil
	case directory.HasWords:
		return w.hasWords(e, col)
	}
	return "", fmt.Errorf("unknown operator %d", e.Op)
}

func (w *where) hasWords(e *directory.Expr, col string) (string, error) {
	asked := directory.Words(e.Values[0].Text)
	if len(asked) == 0 {
		return "1 = 0", nil
	}
	letter := ""
	for _, f := range wordFields {
		if f.field == e.Field {
			letter = f.letter
		}
	}
	parts := make([]string, len(asked))
	for i, word := range asked {
		if letter == "" { // not indexed: ask Match's question of the whole text
			return "", fmt.Errorf("field %q cannot be searched by words", e.Field)
		}
		from := letter + ":" + word
		lo, hi := w.arg(from), w.arg(from+"\U0010FFFF")
		parts[i] = fmt.Sprintf("u.id IN (SELECT user_id FROM user_words WHERE word >= %s AND word < %s)", lo, hi)
	}
	return "(" + strings.Join(parts, " AND ") + ")", nil
}
