package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/term"
)

// noon is when these tests happen: Monday 2 March 2026, 12:04:34.535.
var noon = time.Date(2026, 3, 2, 12, 4, 34, 535e6, time.UTC)

func testConsole(env map[string]string) (c *console, out, talk *bytes.Buffer) {
	out, talk = &bytes.Buffer{}, &bytes.Buffer{}
	return &console{in: strings.NewReader(""), Console: term.Console{Out: out, Err: talk, Getenv: func(k string) string { return env[k] }, Now: func() time.Time { return noon }, Zone: time.UTC}}, out, talk
}

// A refusal is made of the sentences that package role writes, whatever is
// missing and whoever is refused.
func TestRefusalFitsOnALine(t *testing.T) {
	t.Parallel()
	held := func(ids ...directory.RoleID) directory.Held { return directory.Held{Roles: ids} }
	for _, tt := range []struct {
		actor, target directory.Held
		short, need   string
	}{
		{held(role.UserAdministrator), held(role.GlobalAdministrator), "holds Global Administrator; you hold User Administrator", "Privileged Authentication Administrator or Global Administrator"},
		{held(), held(role.GlobalAdministrator), "holds Global Administrator; you hold no role", "Privileged Authentication Administrator or Global Administrator"},
		{held(role.UserAdministrator), directory.Held{RoleAssignableMember: true}, "is a member of a role-assignable group; you hold User Administrator", "Privileged Authentication Administrator or Global Administrator"},
	} {
		actor := directory.Actor{User: directory.NewID[directory.User](noon), Held: tt.actor}
		err := role.Allowed(actor, role.RevokeSessions, role.Target{ID: directory.NewID[directory.User](noon), Held: tt.target}).Err("J. R. Anita")
		if err == nil {
			t.Fatalf("%v may revoke %v", tt.actor, tt.target)
		}
		_, sentence, _ := strings.Cut(err.Error(), ": ")
		if short, need := refusal(sentence); short != tt.short || need != tt.need {
			t.Errorf("%q became %q, needs %q", sentence, short, need)
		}
	}
	if short, need := refusal("Nobody may do this."); short != "Nobody may do this" || need != "" {
		t.Errorf("another sentence: %q, %q", short, need)
	}
	actor := directory.Actor{User: directory.NewID[directory.User](noon)}
	_, sentence, _ := strings.Cut(role.Allowed(actor, role.RevokeSessions, role.Target{ID: directory.NewID[directory.User](noon)}).Err("").Error(), ": ")
	if short, need := refusal(sentence); !strings.HasPrefix(short, "needs ") || !strings.HasSuffix(short, "; you hold no role") || need == "" {
		t.Errorf("%q became %q, needs %q", sentence, short, need)
	}
}

func receiptOf(t *testing.T, text string) *client.Receipt {
	t.Helper()
	r := &client.Receipt{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

const adaReceipt = `{"id":"rc_4c81-48211","pos":48211,"at":"2026-03-02T12:04:31.220Z","now":"2026-03-02T12:04:34.535Z","cause":"revoked","actor":{"name":"grace@contoso.example"},
 "target":{"kind":"user","name":"ada@contoso.example"},"counted":true,"sessions":3,"grants":4,"tokens":9,"title":"cut","guards":6,"confirmed":4,"complete":false,"slowestMs":44,"overSince":null,
 "rows":[{"state":"ended","where":"curfew"},
  {"state":"confirmed","where":"mail-1","resource":"api://mail","protects":"Mail","afterMs":38},{"state":"confirmed","where":"mail-2","resource":"api://mail","protects":"Mail","afterMs":41},
  {"state":"waiting","where":"mail-3","resource":"api://mail","protects":"Mail","afterMs":3315,"at":"2026-03-02T12:04:41Z"},
  {"state":"confirmed","where":"drive-1","resource":"api://drive","protects":"Drive","afterMs":44},{"state":"confirmed","where":"drive-2","resource":"api://drive","protects":"Drive","afterMs":20,"bound":true},
  {"state":"closed","where":"drive-3","resource":"api://drive","protects":"Drive","at":"2026-03-02T12:04:34Z"},
  {"state":"closes","where":"drive-4","resource":"api://drive","protects":"Drive","at":"2026-03-02T12:04:38.235Z"},
  {"state":"gone","where":"drive-5","resource":"api://drive","protects":"Drive","at":"2026-03-02T12:04:33Z"},
  {"state":"lives","resource":"api://legacy","protects":"Legacy","tokens":1,"at":"2026-03-02T12:51:07Z"},
  {"state":"over","resource":"api://old","protects":"Old\u001b[2J","tokens":2,"at":"2026-03-02T12:04:32Z"},
  {"state":"unknown","protects":"Tripboard"}],
 "left":[{"state":"waiting","where":"mail-3","protects":"Mail","at":"2026-03-02T12:04:41Z"},{"state":"closes","where":"drive-4","protects":"Drive","at":"2026-03-02T12:04:38.235Z"},
  {"state":"lives","protects":"Legacy","at":"2026-03-02T12:51:07Z"}]}`

func TestReceiptSaysWhatIsLeftLast(t *testing.T) {
	t.Parallel()
	c, out, _ := testConsole(nil)
	c.text = true
	r := receiptOf(t, adaReceipt)
	if err := c.showReceipt(r); err != nil {
		t.Fatal(err)
	}
	want := `ada@contoso.example  cut at 12:04:31.220  ledger 48,211  receipt rc_4c81-48211
  cause   revoked
  by      grace@contoso.example
  guards  4 of 6 confirmed, slowest 44 ms

  ended    curfew     3 sessions, 4 grants         at once
  ended    Mail       2 of 3 guards confirmed      41 ms
  ended    Drive      2 of 4 guards confirmed      within 44 ms
  ended    Drive      drive-5 said goodbye         12:04:33.0, it serves nobody
  over     Old�[2J    2 access tokens, no guard    since 12:04:32
  unknown  Tripboard  may keep a session of its own  not known
  closed   Drive      drive-3 is silent            12:04:34.0, refuses everything by itself
  waiting  Mail       mail-3 has not confirmed     3.3 s so far
  closes   Drive      drive-4 is silent            by 12:04:38.2 (3.7 s), refuses everything by itself then
  lives    Legacy     1 access token, no guard     until 12:51:07 (46 min 32 s)

Not over: mail-3 (Mail) until 12:04:41, drive-4 (Drive) until 12:04:38, Legacy until 12:51:07.
`
	squeeze := func(s string) string { // the widths are another test's
		for strings.Contains(s, "   ") {
			s = strings.ReplaceAll(s, "   ", "  ")
		}
		return s
	}
	if got := out.String(); squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r.Settled() {
		t.Error("a receipt with a guard that is waited for is settled")
	}
	var before rest
	before.add(r, false)
	if got := before.text(c); got != "Not over: drive-4 (Drive) until 12:04:38, Legacy until 12:51:07." {
		t.Errorf("without waiting: %s", got)
	}
}

func TestStdinNamesOneThingALine(t *testing.T) {
	t.Parallel()
	read := func(text string) (string, error) {
		c, _, _ := testConsole(nil)
		c.in = strings.NewReader(text)
		all, err := c.targets(&cobra.Command{}, []string{"first", "-"}, "userPrincipalName", "id", "userPrincipalName")
		return fmt.Sprint(all), err
	}
	got, err := read("\ufeffada@contoso.example\r\n\n# who left\n{\"id\":\"1\",\"userPrincipalName\":\"bob@contoso.example\"}\n{\"userPrincipalName\":\"eve\"}\nADA@contoso.example\n")
	if err != nil || got != "[{first first} {ada@contoso.example ada@contoso.example} {1 bob@contoso.example} {eve eve}]" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"Ada Lovelace\n", "ada,bob\n", "{\"id\":\"\"}\n", "{\"id\":1}\n", "{broken\n", "[\"ada\"]\n"} {
		var f *failure
		if _, err := read("fine\n" + bad); !errors.As(err, &f) || f.code != exitUsage || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSecretsAreReadWhereTheManifestIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("pw", "with \"quotes\" and \\ and ünïcode\n")
	c, _, _ := testConsole(map[string]string{"S": "s3cret"})
	got, err := c.manifest(write("a.toml", "# a\n[[app]]\n  secret_env = 'S' # here\n[[user]]\npassword_file=\"pw\"\nname = \"x\"\n"))
	want := "# a\n[[app]]\n  secret = \"s3cret\"\n[[user]]\npassword = \"with \\\"quotes\\\" and \\\\ and ünïcode\"\nname = \"x\"\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for text, want := range map[string]string{
		"[[app]]\nsecret_env = \"NONE\"":                     "line 2: the environment variable \"NONE\" is not set",
		"[[user]]\npassword_file = \"none\"":                 "line 2: open ",
		"app = [{ secret_env = \"S\" }]":                     "own",
		"[[app]]\ntext = \"\"\"\nsecret_env = \"S\"\n\"\"\"": "own",
		"[[app]]\nsecret = \"hunter2":                        "no valid TOML",
		"[[app]]\nsecret_env = 7":                            "line 2: secret_env is not a text",
		"[[app]]\n\"secret_env\" = \"S\"":                    "own",
	} {
		if got, err := c.manifest(write("b.toml", text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestConfirmationIsAskedOnATerminalOnly(t *testing.T) {
	t.Parallel()
	c, _, talk := testConsole(nil)
	if err := c.confirm("Revoke 3?"); err != nil || talk.Len() != 0 {
		t.Errorf("into a pipe: %v, said %q", err, talk)
	}
	for answer, good := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "n\n": false, "": false} {
		c, _, _ := testConsole(nil)
		c.inTTY, c.ErrTTY, c.in = true, true, strings.NewReader(answer)
		if err := c.confirm("Revoke 3?"); (err == nil) != good {
			t.Errorf("answered %q: %v", answer, err)
		}
	}
}

// A command that has no short text, or a group without verbs that is told apart
// from a mistake by nothing, would be found by the person at the terminal first.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	c, _, _ := testConsole(nil)
	writes := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s has no short text", cmd.CommandPath())
		}
		if cmd.Flags().Lookup("reason") != nil {
			writes++
			if cmd.Flags().Lookup("dry-run") == nil {
				t.Errorf("%s writes and has no --dry-run", cmd.CommandPath())
			}
			if noun := cmd.CommandPath(); cmd.Example == "" && (strings.HasPrefix(noun, "curfew app ") || strings.HasPrefix(noun, "curfew resource ")) {
				t.Errorf("%s has no example", noun)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(c))
	if writes < 34 {
		t.Errorf("%d commands take a reason: somewhere it was forgotten", writes)
	}
}
