package desk

import (
	"embed"
	"io/fs"

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
func (paths) WhatIf() string    { return PathWhatIf }
func (paths) RevokeAll() string { return PathRevokeAll }
func (paths) Account() string   { return PathAccount }
func (paths) SignOut() string   { return PathSignOut }

var set = webkit.Parse(files, map[string]any{"path": func() paths { return paths{} }, "userPath": UserPath})

// With is the set of a room that has templates of its own beside those that all
// share; it panics as webkit.Parse does.
func With(files fs.FS, funcs map[string]any) webkit.Set { return set.With(files, funcs) }

// The pages that are the same for all. A handler fills the view and calls [Show].
var (
	ConfirmPage = webkit.NewPage[Confirm](set, "confirm")
	OncePage    = webkit.NewPage[Once](set, "once")
	ThingsPage  = webkit.NewPage[Things](set, "things")
	ThingPage   = webkit.NewPage[Thing](set, "thing")
	// FormTemplate is what [Form] shows itself with.
	FormTemplate = webkit.NewPage[FormPage](set, "form-page")
	refusedPage  = webkit.NewPage[RefusedPage](set, "refused")
)
