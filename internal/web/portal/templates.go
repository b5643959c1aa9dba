package portal

import (
	"embed"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

// endingAt is an ending with the clock that writes its time.
type endingAt struct {
	Ending Ending
	Clock  webkit.Clock
}

var set = desk.With(files, map[string]any{
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
	bulkResultPage = webkit.NewPage[BulkResult](set, "bulk-result")
	receiptsPage   = webkit.NewPage[Receipts](set, "receipts")
	guardsPage     = webkit.NewPage[Guards](set, "guards")
	overviewPage   = webkit.NewPage[Overview](set, "overview")
	auditPage      = webkit.NewPage[Audit](set, "audit")
)
