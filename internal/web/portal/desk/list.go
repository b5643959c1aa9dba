package desk

import (
	"strconv"

	"github.com/curfew-id/curfew/internal/fault"
)

// ListSize is a page of receipts or of audit lines.
const ListSize = 50

// Edge reads where a page of a list that runs back in time begins.
func (v *Visit) Edge() (before int64, at int, err error) {
	if b := v.Q.Get("before"); b != "" {
		if before, err = strconv.ParseInt(b, 10, 64); err != nil || before < 1 {
			return 0, 0, fault.New(fault.Invalid, "This is not a page of this list.")
		}
		if at, err = strconv.Atoi(v.Q.Get("at")); err == nil && at > 0 {
			return before, at, nil
		}
	}
	return before, 1, nil
}

// Older is the foot of such a page. How many there are in all is not counted.
func Older(address string, at, n int, last int64, more bool) Paging {
	if !more && at == 1 {
		return Paging{} // all of them
	}
	p := Paging{From: at, To: at + n - 1, Total: -1, Size: ListSize}
	if more {
		p.NextURL = address + "before=" + strconv.FormatInt(last, 10) + "&at=" + strconv.Itoa(at+n)
	}
	return p
}

// PageSize is how many applications, or resources, a page lists.
const PageSize = 50

// Slice is the page of a list of n that the address asks for, and its foot.
func (v *Visit) Slice(n int, with func(from string) string) (from, to int, p Paging) {
	from, _ = strconv.Atoi(v.Q.Get("from")) // else from the first
	from = max(0, min(from, n-1))
	to = min(from+PageSize, n)
	if n > PageSize {
		p = Paging{From: from + 1, To: to, Total: n, Size: PageSize}
		if from > 0 {
			p.PrevURL = with(strconv.Itoa(max(0, from-PageSize)))
		}
		if to < n {
			p.NextURL = with(strconv.Itoa(to))
		}
	}
	return from, to, p
}

// At is the number of the first row of a page.
func (v *Visit) At() int {
	at, err := strconv.Atoi(v.Q.Get("at"))
	if err != nil {
		return 1
	}
	return max(at, 1)
}

// Next is the address of the page after n rows.
func (v *Visit) Next(n int, address string) string {
	return address + "&at=" + strconv.Itoa(v.At()+n)
}
