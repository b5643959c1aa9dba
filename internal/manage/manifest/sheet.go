package manifest

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
	maxBytes = 200 << 20
	maxRows  = 1_000_000
	maxField = 1 << 10
	maxRow   = 256 << 10 // an unclosed quote ends here and not with the file
)

// columns are the columns that are kept, by lower-case name.
var columns = map[string]func(*Row) *string{
	"userprincipalname": func(r *Row) *string { return &r.Name },
	"displayname":       func(r *Row) *string { return &r.DisplayName },
	"givenname":         func(r *Row) *string { return &r.GivenName },
	"surname":           func(r *Row) *string { return &r.Surname },
	"mail":              func(r *Row) *string { return &r.Mail },
	"mailnickname":      func(r *Row) *string { return &r.Nickname },
	"jobtitle":          func(r *Row) *string { return &r.JobTitle },
	"department":        func(r *Row) *string { return &r.Department },
	"officelocation":    func(r *Row) *string { return &r.Office },
	"mobilephone":       func(r *Row) *string { return &r.Mobile },
	"preferredlanguage": func(r *Row) *string { return &r.Language },
	"accountenabled":    func(r *Row) *string { return &r.Enabled },

	"physicaldeliveryofficename": func(r *Row) *string { return &r.Office },
}

// ignoredColumns are Entra's that have no place here.
var ignoredColumns = []string{"objectid", "id", "usertype", "usagelocation", "streetaddress", "state", "country", "city", "postalcode", "telephonenumber",
	"alternateemailaddress", "agegroup", "consentprovidedforminor", "legalagegroupclassification", "companyname", "creationtype", "directorysynced",
	"invitationstate", "identityissuer", "createddatetime", "employeeid", "employeetype", "employeehiredate", "faxnumber", "businessphones", "othermails",
	"proxyaddresses", "onpremisessyncenabled", "externaluserstate", "manager"}

// Row is one line of a sheet; texts without spaces around them, empty ones say
// nothing.
type Row struct {
	Line                                                  int
	Name, DisplayName, GivenName, Surname, Mail, Nickname string
	JobTitle, Department, Office, Mobile, Language        string
	Enabled                                               string // as written: true, false or empty
	Password                                              string
}

// Format prints no row: there may be a password in it.
func (r *Row) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "row %d", r.Line) }

// Bad is a row that cannot be used.
type Bad struct {
	Line   int
	Name   string // user name, if it could be read
	Reason string
}

// Sheet reads users, row by row, from a CSV file such as Entra's "Download users".
type Sheet struct {
	csv              *csv.Reader
	meter            *meter
	columns          []func(*Row) *string // by position; nil: not kept
	names            []string
	Ignored, Unknown []string // columns of Entra that have no place here, and those that nobody knows
	rows             int
}

// EndOfFile is how [Sheet.Next] says that there is no more.
const EndOfFile = "end of file"

// meter bounds the whole file and every single row.
type meter struct {
	r    io.Reader
	read int64 // bytes handed to the CSV reader
	row  int64 // where the row at hand begins
}

var errRowTooLong = errors.New("row too long")
var errFileTooLong = errors.New("file too long")

func (m *meter) Read(b []byte) (int, error) {
	if m.read > maxBytes {
		return 0, errFileTooLong
	}
	if m.read-m.row > maxRow {
		return 0, errRowTooLong
	}
	n, err := m.r.Read(b)
	m.read += int64(n)
	return n, err
}

// Open reads the header line. With passwords, a column of that name is kept. Kinds:
// Invalid.
func Open(r io.Reader, passwords bool) (*Sheet, error) {
	buf := bufio.NewReader(r)
	if b, _ := buf.Peek(3); len(b) >= 2 && (b[0] == 0xFE && b[1] == 0xFF || b[0] == 0xFF && b[1] == 0xFE) {
		return nil, invalid("The file is UTF-16. Save it as CSV in UTF-8.")
	} else if string(b) == "\xef\xbb\xbf" {
		buf.Discard(3)
	}
	m := &meter{r: buf}
	f := &Sheet{csv: csv.NewReader(m), meter: m}
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
		column := columns[low]
		if low == "password" && passwords {
			column = func(r *Row) *string { return &r.Password }
		}
		switch {
		case column != nil && seen[low]:
			return nil, invalid("The column " + fault.Quote(name) + " is there twice.")
		case column != nil:
			seen[low] = true
		case slices.Contains(ignoredColumns, low):
			f.Ignored = append(f.Ignored, name)
		default:
			f.Unknown = append(f.Unknown, name)
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

// Next reads a row: a good one, a bad one, or why there are no more.
func (f *Sheet) Next() (row *Row, bad *Bad, end string) {
	f.meter.row = f.csv.InputOffset()
	record, err := f.csv.Read()
	line := 0
	var pe *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, EndOfFile
	case errors.As(err, &pe) && (errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote)):
		return nil, &Bad{Line: pe.StartLine, Reason: "A quote is in the wrong place."}, ""
	case errors.Is(err, errRowTooLong):
		return nil, nil, "A row is longer than 256 KiB. A quote may not be closed. Nothing after that row was read."
	case errors.Is(err, errFileTooLong):
		return nil, nil, "The file is larger than 200 MB. Nothing after that was read."
	case err != nil:
		return nil, nil, "The file could not be read to its end."
	}
	line, _ = f.csv.FieldPos(0)
	if f.rows++; f.rows > maxRows {
		return nil, nil, fmt.Sprintf("The file has more than 1,000,000 rows. Line %d and what follows was not read.", line)
	}
	row, err = f.parse(line, record)
	if err != nil {
		return nil, &Bad{Line: line, Name: row.Name, Reason: fault.Public(err)}, ""
	}
	return row, nil, ""
}

// parse checks all that can be known without the directory.
func (f *Sheet) parse(line int, record []string) (*Row, error) {
	row := &Row{Line: line}
	if len(record) != len(f.columns) {
		return row, invalid(fmt.Sprintf("The row has %d fields, the header %d.", len(record), len(f.columns)))
	}
	for i, column := range f.columns {
		if column == nil {
			continue
		}
		v := record[i]
		if len(v) > maxField {
			return row, invalid("The field " + f.names[i] + " is longer than 1 KiB.")
		}
		if !utf8.ValidString(v) {
			return row, invalid("The field " + f.names[i] + " is not valid UTF-8.")
		}
		*column(row) = strings.Clone(strings.TrimSpace(v))
	}
	switch row.Enabled = strings.ToLower(row.Enabled); row.Enabled {
	case "", "true", "false":
	default:
		return row, invalid("accountEnabled is neither true nor false.")
	}
	return row, directory.CheckUserName(row.Name)
}
