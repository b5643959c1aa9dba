// Package geo says where an address is, from the MaxMind database that the
// operator brings along (GeoLite2 or GeoIP2, Country or City).
//
//	no file named ──▶ nothing is known
//	file ──▶ read whole ──▶ Lookup
//	  ▲ changed? looked at every few seconds, by whoever asks
//	  └── gone: nothing is known · unreadable: what was read before stays
//
// It promises: no address leaves this machine; a file that is missing, spoiled or
// replaced never stops a sign-in and is told of once, loudly; where nothing is
// known it says so, and never "nowhere". What that means is the policies' to say,
// and they take it for the stricter (docs/decisions/0018).
//
// The file is read into memory and not mapped: a mapped file that somebody copies
// over kills the process. The price is its size in memory (GeoLite2-City: 60 MiB),
// twice while it is replaced.
//
// Trust: whoever can write the file says where everybody is, and so opens or
// closes every policy about countries and the rule of impossible travel. An address
// is where its last proxy stands; a person behind a VPN is where that ends.
package geo

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/curfew-id/curfew/internal/policy"
)

const (
	// lookEvery is how often the file is looked at for a change.
	lookEvery = 5 * time.Second
	// maxFile bounds the file. The largest that MaxMind has are half of it.
	maxFile = 1 << 30
)

// Place is where an address is. The zero Place: nothing is known.
type Place struct {
	Country policy.Country // policy.Nowhere: the database knows none for this address
	Region  string         // name, in English
	City    string         // name, in English
	// Latitude and Longitude are in degrees, if Located.
	Latitude, Longitude float64
	Located             bool
}

// Database is the operator's file. A nil Database knows nothing.
type Database struct {
	Path string
	Log  *slog.Logger
	Now  func() time.Time

	reader atomic.Pointer[maxminddb.Reader] // nil: nothing is known
	next   atomic.Int64                     // when the file is looked at again, Unix microseconds
	spoilt atomic.Pointer[maxminddb.Reader] // of which a bad record was told already

	mu   sync.Mutex // held by the one who looks at the file
	seen stamp      // guarded by mu: what was tried last
	told string     // guarded by mu: what was last complained of
}

// stamp tells one state of the file from another.
type stamp struct {
	at   time.Time
	size int64
}

// Open reads the file. An empty path is no database. A file that is not there or
// cannot be read is told on the log and looked for again.
func Open(path string, log *slog.Logger, now func() time.Time) *Database {
	if path == "" {
		return nil
	}
	d := &Database{Path: path, Log: log, Now: now}
	d.look()
	return d
}

// Status is what there is to tell of the database.
type Status struct {
	Path    string
	Type    string    // as the file calls itself
	Built   time.Time // zero: nothing is known
	Trouble string    // why the file cannot be used, or not its newest state; empty: none
}

// Status looks at the file and tells. ok is false where no file was named.
func (d *Database) Status() (s Status, ok bool) {
	if d == nil {
		return s, false
	}
	d.look()
	d.mu.Lock()
	s = Status{Path: d.Path, Trouble: d.told}
	d.mu.Unlock()
	if r := d.reader.Load(); r != nil {
		s.Type, s.Built = r.Metadata.DatabaseType, r.Metadata.BuildTime().UTC()
	}
	return s, true
}

// look reads the file if it has changed. One caller does; the others go on with
// what there is.
func (d *Database) look() {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	d.next.Store(d.Now().Add(lookEvery).UnixMicro())
	st, err := os.Stat(d.Path)
	if err != nil {
		d.seen = stamp{}
		d.reader.Store(nil)
		d.complain(fmt.Errorf("the file is not there: %w", err), "no country is known")
		return
	}
	s := stamp{at: st.ModTime(), size: st.Size()}
	if s == d.seen {
		return
	}
	d.seen = s
	r, err := read(d.Path)
	if err != nil {
		doing := "no country is known"
		if d.reader.Load() != nil {
			doing = "what was read before stays"
		}
		d.complain(err, doing)
		return
	}
	d.reader.Store(r)
	d.told = ""
	d.Log.Info("geoip: database read", "file", d.Path, "type", r.Metadata.DatabaseType, "built", r.Metadata.BuildTime().UTC())
}

// complain tells of one trouble once.
func (d *Database) complain(err error, doing string) {
	if text := err.Error(); text != d.told {
		d.told = text
		d.Log.Error("geoip: the database cannot be used", "file", d.Path, "doing", doing, "error", err)
	}
}

func read(path string) (*maxminddb.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, errors.New("the file is larger than 1 GiB")
	}
	return maxminddb.OpenBytes(b)
}

// record is what is read of an entry, as MaxMind names it.
type record struct {
	Country struct {
		ISO string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	City struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	Subdivisions []struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

// Lookup says where an address is.
func (d *Database) Lookup(a netip.Addr) Place {
	r, res := d.find(a)
	if r == nil {
		return Place{}
	}
	if !res.Found() {
		return Place{Country: policy.Nowhere}
	}
	var rec record
	if err := res.Decode(&rec); err != nil {
		d.bad(r, err)
		return Place{}
	}
	p := Place{City: rec.City.Names.English}
	var ok bool
	if p.Country, ok = country(rec.Country.ISO); !ok {
		d.bad(r, errors.New("a country code that is none"))
		return Place{}
	}
	if len(rec.Subdivisions) > 0 {
		p.Region = rec.Subdivisions[0].Names.English
	}
	if la, lo := rec.Location.Latitude, rec.Location.Longitude; la != nil && lo != nil && *la >= -90 && *la <= 90 && *lo >= -180 && *lo <= 180 {
		p.Latitude, p.Longitude, p.Located = *la, *lo, true
	}
	return p
}

// Country is the part of Lookup that policies ask for at every refresh. False: it
// is not known.
func (d *Database) Country(a netip.Addr) (policy.Country, bool) {
	r, res := d.find(a)
	if r == nil {
		return policy.Country{}, false
	}
	if !res.Found() {
		return policy.Nowhere, true
	}
	var iso string
	if err := res.DecodePath(&iso, "country", "iso_code"); err != nil {
		d.bad(r, err)
		return policy.Country{}, false
	}
	c, ok := country(iso)
	if !ok {
		d.bad(r, errors.New("a country code that is none"))
	}
	return c, ok
}

// find returns the reader, nil if nothing can be known of this address.
func (d *Database) find(a netip.Addr) (*maxminddb.Reader, maxminddb.Result) {
	if d == nil || !a.IsValid() {
		return nil, maxminddb.Result{}
	}
	if d.Now().UnixMicro() >= d.next.Load() {
		d.look()
	}
	r := d.reader.Load()
	if r == nil {
		return nil, maxminddb.Result{}
	}
	res := r.Lookup(a.Unmap().WithZone(""))
	if err := res.Err(); err != nil {
		d.bad(r, err)
		return nil, maxminddb.Result{}
	}
	return r, res
}

// bad tells once for each file that an entry of it cannot be read.
func (d *Database) bad(r *maxminddb.Reader, err error) {
	if d.spoilt.Swap(r) != r {
		d.Log.Error("geoip: an entry cannot be read; its addresses are of no known country", "file", d.Path, "error", err)
	}
}

// country reads an ISO code. An entry without one is of no country.
func country(iso string) (policy.Country, bool) {
	if iso == "" {
		return policy.Nowhere, true
	}
	if len(iso) != 2 || iso[0] < 'A' || iso[0] > 'Z' || iso[1] < 'A' || iso[1] > 'Z' {
		return policy.Country{}, false
	}
	return policy.Country{iso[0], iso[1]}, true
}
