package own

import (
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/standing"
)

// milli is an instant in our own JSON.
func milli(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// seen are the views that [view] writes.
type seen interface {
	relay.ReceiptView | relay.Exposure | relay.SessionView | relay.GrantView | relay.GuardView | relay.LedgerLine |
		manage.ImportReport | manage.ApplyReport | directory.App | directory.Resource | manage.AppAssignment | standing.Setting | deliver.Recipient | deliver.Letter | rotate.SigningKey
}

// view is the JSON of one of our own views, by the names of its fields: camelCase,
// instants in RFC 3339 with milliseconds, spans in milliseconds under a name that
// ends with Ms, absent ids and instants null, absent lists empty. Fields are only
// ever added to; testdata/names.txt holds them all, so that a field that is
// renamed, or appears by mistake, is seen.
func view[T seen](v *T) object {
	return reflected(reflect.ValueOf(v)).(object)
}

func views[T seen](all []T) []object {
	out := make([]object, len(all))
	for i := range all {
		out[i] = view(&all[i])
	}
	return out
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

func reflected(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return reflected(v.Elem())
	case v.Type() == timeType:
		return milli(v.Interface().(time.Time))
	case v.Type() == durationType && v.Int() < 0: // never
		return nil
	case v.Type() == durationType:
		return float64(v.Interface().(time.Duration).Microseconds()) / 1000
	case v.Kind() == reflect.Array: // an id
		if v.IsZero() {
			return nil
		}
		return v.Interface()
	case v.Kind() == reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = reflected(v.Index(i))
		}
		return out
	case v.Kind() == reflect.Struct:
		var out object
		for i := range v.NumField() {
			if name := wireName(v.Type().Field(i)); name != "" {
				out = append(out, member{name, reflected(v.Field(i))})
			}
		}
		return out
	}
	return v.Interface()
}

// wireName is a field's name in JSON, or "" for what is never written: bytes
// (hashes) and what is hidden from JSON anyway.
func wireName(f reflect.StructField) string {
	tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case !f.IsExported() || tag == "-" || f.Type == reflect.TypeFor[[]byte]():
		return ""
	case tag != "":
		return tag
	}
	name := strings.NewReplacer("URI", "Uri", "ID", "Id", "SPA", "Spa").Replace(f.Name)
	if strings.ToUpper(name) == name {
		name = strings.ToLower(name)
	}
	name = string(unicode.ToLower(rune(name[0]))) + name[1:]
	if f.Type == durationType {
		name += "Ms"
	}
	return name
}
