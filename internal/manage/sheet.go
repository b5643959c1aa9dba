package manage

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// Limits of a file.
const (
	maxImportBytes = 200 << 20
	maxImportRows  = 1_000_000
	maxImportField = 1 << 10
	maxImportRow   = 256 << 10 // an unclosed quote ends here and not with the file
)

// importColumns are the columns that are kept, by lower-case name.
var importColumns = map[string]func(*importRow) *string{
	"userprincipalname": func(r *importRow) *string { return &r.user.Name },
	"displayname":       func(r *importRow) *string { return &r.user.DisplayName },
	"givenname":         func(r *importRow) *string { return &r.user.GivenName },
	"surname":           func(r *importRow) *string { return &r.user.Surname },
	"mail":              func(r *importRow) *string { return &r.user.Mail },
	"mailnickname":      func(r *importRow) *string { return &r.user.Nickname },
	"jobtitle":          func(r *importRow) *string { return &r.user.JobTitle },
	"department":        func(r *importRow) *string { return &r.user.Department },
	"officelocation":    func(r *importRow) *string { return &r.user.Office },
	"mobilephone":       func(r *importRow) *string { return &r.user.Mobile },
	"preferredlanguage": func(r *importRow) *string { return &r.user.Language },
	"accountenabled":    func(r *importRow) *string { return &r.enabled },

	"physicaldeliveryofficename": func(r *importRow) *string { return &r.user.Office },
}

// ignoredColumns are Entra's that have no place here.
var ignoredColumns = []string{"objectid", "id", "usertype", "usagelocation", "streetaddress", "state", "country", "city", "postalcode", "telephonenumber",
	"alternateemailaddress", "agegroup", "consentprovidedforminor", "legalagegroupclassification", "companyname", "creationtype", "directorysynced",
	"invitationstate", "identityissuer", "createddatetime", "employeeid", "employeetype", "employeehiredate", "faxnumber", "businessphones", "othermails",
	"proxyaddresses", "onpremisessyncenabled", "externaluserstate", "manager"}

// importFile reads rows.
type importFile struct {
	csv              *csv.Reader
	meter            *meter
	policy           func(*directory.User, string) error // for passwords; nil: there are none
	columns          []func(*importRow) *string          // by position; nil: not kept
	names            []string
	ignored, unknown []string
	rows             int
}

// endOfFile is how next says that there is no more.
const endOfFile = "end of file"

// meter bounds the whole file and every single row.
type meter struct {
	r    io.Reader
	read int64 // bytes handed to the CSV reader
	row  int64 // where the row at hand begins
}

var errRowTooLong = errors.New("row too long")
var errFileTooLong = errors.New("file too long")

func (m *meter) Read(b []byte) (int, error) {
	if m.read > maxImportBytes {
		return 0, errFileTooLong
	}
	if m.read-m.row > maxImportRow {
		return 0, errRowTooLong
	}
	n, err := m.r.Read(b)
	m.read += int64(n)
	return n, err
}

func openImport(r io.Reader, policy func(*directory.User, string) error) (*importFile, error) {
	buf := bufio.NewReader(r)
	if b, _ := buf.Peek(3); len(b) >= 2 && (b[0] == 0xFE && b[1] == 0xFF || b[0] == 0xFF && b[1] == 0xFE) {
		return nil, invalid("The file is UTF-16. Save it as CSV in UTF-8.")
	} else if string(b) == "\xef\xbb\xbf" {
		buf.Discard(3)
	}
	m := &meter{r: buf}
	f := &importFile{csv: csv.NewReader(m), meter: m, policy: policy}
	f.csv.FieldsPerRecord = -1
	f.csv.ReuseRecord = true
	header, err := f.csv.Read()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "The file has no header line.", err)
	}
	seen := map[string]bool{}
	for _, h := range header {
		name := strings.TrimSpace(h)
		low := strings.ToLower(name)
		column := importColumns[low]
		if low == "password" && policy != nil {
			column = func(r *importRow) *string { return &r.password }
		}
		switch {
		case column != nil && seen[low]:
			return nil, invalid("The column " + quote(name) + " is there twice.")
		case column != nil:
			seen[low] = true
		case slices.Contains(ignoredColumns, low):
			f.ignored = append(f.ignored, name)
		default:
			f.unknown = append(f.unknown, name)
		}
		f.columns, f.names = append(f.columns, column), append(f.names, name)
	}
	if seen["officelocation"] && seen["physicaldeliveryofficename"] {
		return nil, invalid("The columns officeLocation and physicalDeliveryOfficeName are the same.")
	}
	if !seen["userprincipalname"] {
		return nil, invalid("The file has no column userPrincipalName. Columns are separated by commas.")
	}
	return f, nil
}

// next reads a row: a good one, a bad one, or why there are no more.
func (f *importFile) next() (row *importRow, bad *BadRow, end string) {
	f.meter.row = f.csv.InputOffset()
	record, err := f.csv.Read()
	line := 0
	var pe *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, endOfFile
	case errors.As(err, &pe) && (errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote)):
		return nil, &BadRow{Line: pe.StartLine, Reason: "A quote is in the wrong place."}, ""
	case errors.Is(err, errRowTooLong):
		return nil, nil, "A row is longer than 256 KiB. A quote may not be closed. Nothing after that row was read."
	case errors.Is(err, errFileTooLong):
		return nil, nil, "The file is larger than 200 MB. Nothing after that was read."
	case err != nil:
		return nil, nil, "The file could not be read to its end."
	}
	line, _ = f.csv.FieldPos(0)
	if f.rows++; f.rows > maxImportRows {
		return nil, nil, fmt.Sprintf("The file has more than 1,000,000 rows. Line %d and what follows was not read.", line)
	}
	row, err = f.parse(line, record)
	if err != nil {
		return nil, &BadRow{Line: line, Name: row.user.Name, Reason: fault.Public(err)}, ""
	}
	return row, nil, ""
}

// parse checks all that can be known without the directory.
func (f *importFile) parse(line int, record []string) (*importRow, error) {
	row := &importRow{line: line}
	if len(record) != len(f.columns) {
		return row, invalid(fmt.Sprintf("The row has %d fields, the header %d.", len(record), len(f.columns)))
	}
	for i, column := range f.columns {
		if column == nil {
			continue
		}
		v := record[i]
		if len(v) > maxImportField {
			return row, invalid("The field " + f.names[i] + " is longer than 1 KiB.")
		}
		if !utf8.ValidString(v) {
			return row, invalid("The field " + f.names[i] + " is not valid UTF-8.")
		}
		*column(row) = strings.Clone(strings.TrimSpace(v))
	}
	switch strings.ToLower(row.enabled) {
	case "", "true":
	case "false":
		row.user.Disabled = true
	default:
		return row, invalid("accountEnabled is neither true nor false.")
	}
	if err := userName(row.user.Name); err != nil {
		return row, err
	}
	n := row.user
	if n.DisplayName == "" { // enough for a user that exists
		n.DisplayName = n.Name
		_, err := n.user()
		return row, err
	}
	var err error
	if row.new, err = n.user(); err == nil && row.password != "" {
		err = f.policy(row.new, row.password)
	}
	return row, err
}
