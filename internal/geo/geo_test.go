package geo

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/curfew-id/curfew/internal/policy"
)

// An entry of the file under test.
type entry struct {
	net     string
	country string
	city    string
	region  string
	at      []float64 // latitude, longitude
}

// build writes a MaxMind DB (format 2.0, records of 24 bits, IPv6 tree), as its
// specification says.
func build(t testing.TB, entries ...entry) []byte {
	t.Helper()
	type node struct{ next, data [2]int } // next: node+1; data: offset+1
	nodes := []node{{}}
	var data bytes.Buffer
	text := func(s string) []byte { return append([]byte{2<<5 | byte(len(s))}, s...) }
	obj := func(pairs ...[]byte) []byte {
		return append([]byte{7<<5 | byte(len(pairs)/2)}, bytes.Join(pairs, nil)...)
	}
	double := func(f float64) []byte {
		return binary.BigEndian.AppendUint64([]byte{3<<5 | 8}, math.Float64bits(f))
	}
	for _, e := range entries {
		off := data.Len()
		pairs := [][]byte{text("country"), obj(text("iso_code"), text(e.country))}
		if e.country == "" {
			pairs = nil
		}
		if e.city != "" {
			pairs = append(pairs, text("city"), obj(text("names"), obj(text("en"), text(e.city))))
		}
		if e.region != "" {
			pairs = append(pairs, text("subdivisions"), append([]byte{1, 11 - 7}, obj(text("names"), obj(text("en"), text(e.region)))...))
		}
		if e.at != nil {
			pairs = append(pairs, text("location"), obj(text("latitude"), double(e.at[0]), text("longitude"), double(e.at[1])))
		}
		data.Write(obj(pairs...))
		p := netip.MustParsePrefix(e.net)
		bits, a := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			bits += 96
			a = [16]byte(append(make([]byte, 12), p.Addr().AsSlice()...))
		}
		at := 0
		for i := range bits {
			b := a[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at].data[b] = off + 1
				break
			}
			if nodes[at].next[b] == 0 {
				nodes = append(nodes, node{})
				nodes[at].next[b] = len(nodes)
			}
			at = nodes[at].next[b] - 1
		}
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for b := range 2 {
			v := len(nodes) // nothing
			if n.next[b] > 0 {
				v = n.next[b] - 1
			} else if n.data[b] > 0 {
				v = len(nodes) + 16 + n.data[b] - 1
			}
			out.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	u16 := func(v int) []byte { return []byte{5<<5 | 2, byte(v >> 8), byte(v)} }
	u32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, v) }
	u64 := func(v uint64) []byte { return binary.BigEndian.AppendUint64([]byte{8, 9 - 7}, v) }
	out.Write(obj(text("node_count"), u32(uint32(len(nodes))), text("record_size"), u16(24), text("ip_version"), u16(6), text("database_type"), text("Test-City"),
		text("languages"), []byte{0, 11 - 7}, text("binary_format_major_version"), u16(2), text("binary_format_minor_version"), u16(0), text("build_epoch"), u64(1795000000), text("description"), obj()))
	return out.Bytes()
}

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type world struct {
	*Database
	clock *clock
	log   *bytes.Buffer
	path  string
}

func open(t testing.TB, content []byte) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}, log: &bytes.Buffer{}, path: filepath.Join(t.TempDir(), "city.mmdb")}
	w.write(t, content)
	w.Database = Open(w.path, slog.New(slog.NewTextHandler(w.log, nil)), w.clock.now)
	return w
}

// write replaces the file, with a time of its own, and lets the time pass after
// which it is looked at.
func (w *world) write(t testing.TB, content []byte) {
	t.Helper()
	w.clock.pass(2 * lookEvery)
	if content == nil {
		os.Remove(w.path)
		return
	}
	if err := os.WriteFile(w.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(w.path, w.clock.now(), w.clock.now()); err != nil {
		t.Fatal(err)
	}
}

var (
	berlin = entry{"198.51.100.0/24", "DE", "Berlin", "Land Berlin", []float64{52.5, 13.4}}
	tokyo  = entry{"2001:db8:5::/48", "JP", "Tokyo", "", []float64{35.7, 139.7}}
	sea    = entry{"203.0.113.0/25", "", "", "", nil}
	odd    = entry{"192.0.2.0/24", "Zz", "", "", nil}
)

func TestAnAddressIsWhereTheFileSays(t *testing.T) {
	t.Parallel()
	w := open(t, build(t, berlin, tokyo, sea, odd))
	for _, tt := range []struct {
		addr string
		want Place
		ok   bool
	}{
		{"198.51.100.7", Place{policy.Country{'D', 'E'}, "Land Berlin", "Berlin", 52.5, 13.4, true}, true},
		{"::ffff:198.51.100.7", Place{policy.Country{'D', 'E'}, "Land Berlin", "Berlin", 52.5, 13.4, true}, true},
		{"2001:db8:5::1", Place{policy.Country{'J', 'P'}, "", "Tokyo", 35.7, 139.7, true}, true},
		{"2001:db8:6::1", Place{Country: policy.Nowhere}, true},
		{"127.0.0.1", Place{Country: policy.Nowhere}, true},
		{"203.0.113.9", Place{Country: policy.Nowhere}, true},
		{"192.0.2.1", Place{}, false}, // an entry that cannot be believed
	} {
		a := netip.MustParseAddr(tt.addr)
		if got := w.Lookup(a); got != tt.want {
			t.Errorf("%s is in %+v, want %+v", tt.addr, got, tt.want)
		}
		if c, ok := w.Country(a); c != tt.want.Country || ok != tt.ok {
			t.Errorf("%s is of %v %v", tt.addr, c, ok)
		}
	}
	if got := w.Lookup(netip.Addr{}); got != (Place{}) {
		t.Errorf("no address is in %+v", got)
	}
	if n := strings.Count(w.log.String(), "an entry cannot be read"); n != 1 {
		t.Errorf("the bad entry was told %d times:\n%s", n, w.log)
	}
}

func TestWithoutAFileNothingIsKnown(t *testing.T) {
	t.Parallel()
	d := Open("", slog.New(slog.DiscardHandler), time.Now)
	a := netip.MustParseAddr("198.51.100.7")
	if _, ok := d.Country(a); ok || d.Lookup(a) != (Place{}) {
		t.Error("something is known")
	}
	if _, ok := d.Status(); ok {
		t.Error("there is a database")
	}
}

func TestTheFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	w := open(t, build(t, berlin))
	a := netip.MustParseAddr("198.51.100.7")
	is := func(when, want string) {
		t.Helper()
		c, ok := w.Country(a)
		if !ok && want != "" || ok && c.String() != want {
			t.Errorf("%s: %v %v, want %q", when, c, ok, want)
		}
	}
	is("at first", "DE")
	moved := berlin
	moved.country = "FR"
	w.write(t, build(t, moved))
	is("replaced", "FR")

	whole := build(t, berlin)
	w.write(t, whole[:len(whole)/2])
	is("half written", "FR")
	w.clock.pass(2 * lookEvery)
	is("still half written", "FR")
	if s, ok := w.Status(); !ok || s.Trouble == "" || s.Built.IsZero() {
		t.Errorf("status: %+v", s)
	}
	w.write(t, whole)
	is("written", "DE")
	if s, _ := w.Status(); s.Trouble != "" || s.Type != "Test-City" {
		t.Errorf("status: %+v", s)
	}

	w.write(t, nil)
	is("removed", "")
	w.clock.pass(2 * lookEvery)
	is("still removed", "")
	w.write(t, whole)
	is("back", "DE")
	if n := strings.Count(w.log.String(), "cannot be used"); n != 2 {
		t.Errorf("two troubles were told %d times:\n%s", n, w.log)
	}
}

func TestAFileThatIsNoneKnowsNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	w := open(t, []byte("not a database"))
	if _, ok := w.Country(netip.MustParseAddr("198.51.100.7")); ok || !strings.Contains(w.log.String(), "cannot be used") {
		t.Errorf("%v\n%s", ok, w.log)
	}
}

// No file, however spoiled, may stop the process.
func FuzzFile(f *testing.F) {
	f.Add(build(f, berlin, tokyo, sea), []byte{198, 51, 100, 7})
	f.Fuzz(func(t *testing.T, file, addr []byte) {
		w := &Database{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Time{} }}
		r, err := maxminddb.OpenBytes(file)
		if err != nil {
			return
		}
		w.reader.Store(r)
		if a, ok := netip.AddrFromSlice(addr); ok {
			c, known := w.Country(a)
			if p := w.Lookup(a); known && p != (Place{}) && p.Country != c {
				t.Errorf("%v and %v", p.Country, c)
			}
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	w := open(b, build(b, berlin))
	a := netip.MustParseAddr("198.51.100.7")
	b.ReportAllocs()
	for b.Loop() {
		w.Country(a)
	}
}
