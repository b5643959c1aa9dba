package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
)

// Whether countries are known at all is told to whoever may read locations: a policy
// about countries applies to everybody where they are not.
func TestTheDatabaseOfPlacesIsTold(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		set  func(*config.Config)
		want []string
	}{
		"none": {func(*config.Config) {}, []string{`"database":false`, `"built":null`, `"trouble":""`}},
		"one that is none": {func(c *config.Config) {
			c.GeoIP = filepath.Join(filepath.Dir(c.Apply), "places.mmdb")
			if err := os.WriteFile(c.GeoIP, []byte("not a database"), 0o600); err != nil {
				t.Error(err)
			}
		}, []string{`"database":true`, `"file":"places.mmdb"`, `"built":null`, `"trouble":"error`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, "", x.set)
			admin := n.signIn(t, graphScope, "grace@contoso.example").Access
			status, text := n.graphGet(t, admin, "/v1.0/curfew/places")
			if status != http.StatusOK {
				t.Fatalf("%d %s", status, text)
			}
			for _, w := range x.want {
				if !strings.Contains(text, w) {
					t.Errorf("no %s in %s", w, text)
				}
			}
			nobody := n.anew(t).signIn(t, graphScope, "ada@contoso.example").Access
			if status, text := n.graphGet(t, nobody, "/v1.0/curfew/places"); status != http.StatusForbidden {
				t.Errorf("somebody without a role: %d %s", status, text)
			}
		})
	}
}
