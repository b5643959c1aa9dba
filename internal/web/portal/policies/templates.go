package policies

import (
	"embed"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

var whatIfPage = webkit.NewPage[WhatIf](desk.With(files, nil), "what-if")
