package portal

import (
	"embed"
	"html/template"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

type paths struct{}

// The fixed addresses, for templates.
func (paths) Overview() string  { return PathOverview }
func (paths) Users() string     { return PathUsers }
func (paths) Bulk() string      { return PathBulk }
func (paths) Guards() string    { return PathGuards }
func (paths) Resources() string { return PathResources }
func (paths) Receipts() string  { return PathReceipts }
func (paths) RevokeAll() string { return PathRevokeAll }
func (paths) Account() string   { return PathAccount }
func (paths) SignOut() string   { return PathSignOut }

// endingAt is an ending with the clock that writes its time.
type endingAt struct {
	Ending Ending
	Clock  webkit.Clock
}

var set = webkit.Parse(files, template.FuncMap{
	"path":     func() paths { return paths{} },
	"userPath": UserPath,
	"long":     long,
	"pair":     func(e Ending, c webkit.Clock) endingAt { return endingAt{e, c} },
	"reached":  func(rows []GuardRow, c webkit.Clock) guardList { return guardList{c, rows} },
	"receipts": func(rows []ReceiptLine, c webkit.Clock) receiptList { return receiptList{c, rows} },
})

// long returns a text that may end in an ellipsis, for its title; short texts need
// none, and a hundred rows must stay under 100 KB.
func long(s string) string {
	if len(s) > 24 {
		return s
	}
	return ""
}

type guardList struct {
	webkit.Clock
	Rows []GuardRow
}

type receiptList struct {
	webkit.Clock
	Rows []ReceiptLine
}

// The pages of the portal. A handler fills the view and calls Write.
var (
	usersPage      = webkit.NewPage[Users](set, "users")
	userPage       = webkit.NewPage[User](set, "user")
	receiptPage    = webkit.NewPage[ReceiptPage](set, "receipt-page")
	receiptPanel   = webkit.NewPage[Receipt](set, "receipt-panel") // the data of a live event
	confirmPage    = webkit.NewPage[Confirm](set, "confirm")
	bulkResultPage = webkit.NewPage[BulkResult](set, "bulk-result")
	oncePage       = webkit.NewPage[Once](set, "once")
	receiptsPage   = webkit.NewPage[Receipts](set, "receipts")
	guardsPage     = webkit.NewPage[Guards](set, "guards")
	overviewPage   = webkit.NewPage[Overview](set, "overview")
	thingsPage     = webkit.NewPage[Things](set, "things")
	thingPage      = webkit.NewPage[Thing](set, "thing")
	formPage       = webkit.NewPage[FormPage](set, "form-page")
	refusedPage    = webkit.NewPage[RefusedPage](set, "refused")
	auditPage      = webkit.NewPage[Audit](set, "audit")
)
