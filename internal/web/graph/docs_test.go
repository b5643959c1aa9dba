package graph

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/graph/access"
	"github.com/curfew-id/curfew/internal/web/graph/devices"
	"github.com/curfew-id/curfew/internal/web/graph/methods"
	"github.com/curfew-id/curfew/internal/web/graph/registration"
	"github.com/curfew-id/curfew/internal/web/graph/risk"
)

// TestTheAddressesInTheDocsAreThoseThatAreAnswered compares docs/graph.md with the
// routes under Microsoft's names, method by method.
func TestTheAddressesInTheDocsAreThoseThatAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := map[string]bool{}
	for pattern := range maps.Keys(w.Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(registration.Server{Server: w.Server.Server}.Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(methods.Server{Server: w.Server.Server}.Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(access.Server{Server: w.Server.Server}.Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(w.signins().Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(devices.Server{Server: w.Server.Server}.Routes()) {
		want[pattern] = true
	}
	for pattern := range maps.Keys(risk.Server{Server: w.Server.Server}.Routes()) {
		want[pattern] = true
	}
	text, err := os.ReadFile("../../../docs/graph.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(/[^`]*)` \\| ([A-Z, ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		for method := range strings.SplitSeq(row[2], ", ") {
			got[method+" "+row[1]] = true
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(want)) {
		if !got[pattern] {
			t.Errorf("docs/graph.md does not tell of %s", pattern)
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(got)) {
		if !want[pattern] {
			t.Errorf("docs/graph.md tells of %s, which nobody answers", pattern)
		}
	}
}
