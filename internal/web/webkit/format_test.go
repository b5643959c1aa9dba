package webkit

import (
	"testing"
	"time"
)

var helsinki = time.FixedZone("Europe/Helsinki", 2*3600)
var clock = Clock{Now: time.Date(2026, 3, 2, 12, 4, 31, 300e6, helsinki)}

func at(h, m, s, ms int) time.Time {
	return time.Date(2026, 3, 2, h, m, s, ms*1e6, helsinki)
}

func TestInstants(t *testing.T) {
	t.Parallel()
	cut := at(12, 4, 31, 220)
	for got, want := range map[string]string{
		clock.Sec(cut):                          "12:04:31",
		clock.Milli(cut):                        "12:04:31.220",
		clock.Milli(cut.UTC()):                  "12:04:31.220", // in the reader's zone
		clock.Tenth(at(12, 4, 35, 0)):           "12:04:35.0",
		clock.Min(at(12, 51, 7, 0)):             "12:51",
		clock.When(at(8, 2, 0, 0)):              "today 08:02",
		clock.When(cut.AddDate(0, 0, -1)):       "yesterday 12:04",
		clock.Sec(cut.AddDate(0, 0, 1)):         "tomorrow 12:04:31",
		clock.When(cut.AddDate(0, 0, -3)):       "27 Feb 12:04",
		clock.When(cut.AddDate(-1, 0, 0)):       "2 Mar 2025 12:04",
		clock.Day(cut):                          "today",
		clock.Day(cut.AddDate(0, 0, 90)):        "31 May",
		clock.Left(at(12, 51, 7, 0)):            "46 min 36 s",
		clock.Left(at(12, 4, 35, 0)):            "3.7 s",
		clock.Zone():                            "Helsinki, UTC+2",
		Clock{Now: cut.UTC()}.Zone():            "UTC",
		clock.Long():                            "Monday 2 March 2026, 12:04:31",
		clock.When(at(0, 0, 0, 0)):              "today 00:00",
		clock.When(at(0, 0, 0, -1)):             "yesterday 23:59",
		clock.When(at(23, 59, 59, 0).UTC()):     "today 23:59",
		clock.ISO(cut):                          "2026-03-02T12:04:31.22+02:00",
		clock.Sec(time.Time{}):                  None,
		clock.Left(cut) + "|":                   "|", // over: nothing left
		clock.When(at(12, 0, 0, 0).UTC()) + ".": "today 12:00.",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                        "0 ms",
		200 * time.Microsecond:                   "under 1 ms",
		44 * time.Millisecond:                    "44 ms",
		999600 * time.Microsecond:                "1 s",
		3700 * time.Millisecond:                  "3.7 s",
		10 * time.Second:                         "10 s",
		13840 * time.Millisecond:                 "13.8 s",
		59960 * time.Millisecond:                 "1 min",
		46*time.Minute + 36*time.Second:          "46 min 36 s",
		59*time.Minute + 59_600*time.Millisecond: "1 h",
		time.Hour:                                "1 h",
		2*time.Hour + 5*time.Minute:              "2 h 5 min",
		28 * time.Hour:                           "28 h",
		48 * time.Hour:                           "2 days",
		90 * 24 * time.Hour:                      "90 days",
		-3 * time.Second:                         "–3 s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d ns: got %q, want %q", d, got, want)
		}
	}
}

func TestNumbersAndLists(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Num(0): "0", Num(999): "999", Num(48211): "48,211", Num(-1234): "-1,234", Num(int64(100214000)): "100,214,000",
		Count(1, "grant", "grants"): "1 grant", Count(4, "grant", "grants"): "4 grants",
		And([]string{"Mail"}): "Mail", And([]string{"Mail", "Drive", "Legacy"}): "Mail, Drive and Legacy", Or([]string{"A", "B"}): "A or B",
		Initials("Ada Lovelace"): "AL", Initials("élodie"): "É", Initials(""): "?", Initials(" . "): "?", Initials("Anne-Sophie von Hohen"): "AH",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if And(nil) != "" {
		t.Error("nothing joined is not nothing")
	}
}

func TestMatchUnderlinesTheStartOfAWordAndEscapes(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"Ada Lovelace", "a", "<mark>A</mark>da Lovelace"},
		{"Ada Lovelace", "LOVE", "Ada <mark>Love</mark>lace"},
		{"Ada Lovelace", "ace", "Ada Lovelace"},
		{"<b>Ada", "ada", "&lt;b&gt;Ada"},
		{"Bobby <script>", "<script>", "Bobby <mark>&lt;script&gt;</mark>"},
		{"Ada", "", "Ada"},
		{"İİ Ada", "ada", "İİ Ada"}, // lowering changes the length: no mark, no panic
	} {
		if got := string(Match(c[0], c[1])); got != c[2] {
			t.Errorf("%q in %q: got %q, want %q", c[1], c[0], got, c[2])
		}
	}
}
