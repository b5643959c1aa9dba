package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

var (
	ErrUnreadable = errors.New("a line of the feed cannot be read")
	ErrBackwards  = errors.New("the ledger went backwards")
)

// Answer is one answer of the feed. Of a snapshot the lines are merged into set
// while they are read, so that a large one is never held twice.
type Answer struct {
	Nonce    string
	Cursor   string
	Head     cutoff.Pos
	Floor    cutoff.Pos
	Age      time.Duration
	Held     time.Duration
	Snapshot bool
	Lines    []cutoff.Line // not of a snapshot
	Set      *cutoff.Set   // of a snapshot
	Largest  cutoff.Pos    // of any line
}

// network remembers that reading failed, to tell that from what was read.
type network struct {
	io.Reader
	err error
}

func (n *network) Read(b []byte) (int, error) {
	c, err := n.Reader.Read(b)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return c, err
}

// Read reads one. An error that is [ErrUnreadable] is of a line that arrived whole
// and says something this guard does not know.
func Read(from io.Reader) (*Answer, error) {
	n := &network{Reader: from}
	dec := json.NewDecoder(n)
	if err := expect(dec, '{'); err != nil {
		return nil, err
	}
	a, seen := new(Answer), map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, fmt.Errorf("member %.40q twice", name)
		}
		seen[name] = true
		switch name {
		case "nonce":
			err = dec.Decode(&a.Nonce)
		case "cursor":
			err = dec.Decode(&a.Cursor)
		case "head":
			err = dec.Decode(&a.Head)
		case "floor":
			err = dec.Decode(&a.Floor)
		case "age_ms":
			a.Age, err = millis(dec)
		case "held_ms":
			a.Held, err = millis(dec)
		case "snapshot":
			err = dec.Decode(&a.Snapshot)
		case "lines":
			err = a.readLines(dec, n)
		default:
			var skip json.RawMessage
			err = dec.Decode(&skip)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := expect(dec, '}'); err != nil {
		return nil, err
	}
	for _, name := range []string{"nonce", "cursor", "head", "floor", "age_ms", "held_ms"} {
		if !seen[name] {
			return nil, fmt.Errorf("the answer lacks %s", name)
		}
	}
	if a.Snapshot && a.Set == nil {
		a.Set = new(cutoff.Set)
		for _, l := range a.Lines { // they came before the word snapshot
			a.Set.Merge(l)
		}
		a.Lines = nil
	}
	return a, nil
}

func expect(dec *json.Decoder, d json.Delim) error {
	t, err := dec.Token()
	if err == nil && t != d {
		err = fmt.Errorf("the answer is not in form: want %v", d)
	}
	return err
}

// millis reads a duration. It bounds what it reads: an age of a year and one
// of a century say the same.
func millis(dec *json.Decoder) (time.Duration, error) {
	var ms *float64
	if err := dec.Decode(&ms); err != nil {
		return 0, err
	}
	if ms == nil || *ms < 0 {
		return 0, errors.New("a duration is missing or negative")
	}
	return time.Duration(min(*ms, 366*24*3600*1000) * float64(time.Millisecond)), nil
}

func (a *Answer) readLines(dec *json.Decoder, n *network) error {
	t, err := dec.Token()
	if err != nil || t == nil {
		return err // null: no lines
	}
	if t != json.Delim('[') {
		return errors.New("lines are not a list")
	}
	if a.Snapshot {
		a.Set = new(cutoff.Set)
	}
	for dec.More() {
		var l cutoff.Line
		if err := dec.Decode(&l); err != nil {
			return n.unreadable(err)
		}
		if err := l.Valid(); err != nil {
			return n.unreadable(err)
		}
		if a.Snapshot {
			a.Set.Merge(l)
		} else {
			a.Lines = append(a.Lines, l)
		}
		a.Largest = max(a.Largest, l.Pos)
	}
	return expect(dec, ']')
}

// unreadable tells a line that arrived whole and says something this guard does
// not understand from one that was cut off or garbled on the way. After the
// former the guard closes: it must not go on as if nothing had been said.
func (n *network) unreadable(err error) error {
	var syntax *json.SyntaxError
	if n.err != nil || errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %.200v", ErrUnreadable, err)
}

// Check says what is wrong with the answer to question q, given what is known.
func (a *Answer) Check(q url.Values, head cutoff.Pos) error {
	switch {
	case a.Nonce != q.Get("nonce"):
		return errors.New("the answer belongs to another question")
	case a.Cursor == "" || len(a.Cursor) > 4096:
		return errors.New("no usable cursor")
	case a.Head < 0 || a.Head > cutoff.MaxPos || a.Floor < 0 || a.Floor > cutoff.MaxPos:
		return errors.New("a position is out of range")
	case !a.Snapshot && !q.Has("after"):
		return errors.New("lines without a snapshot to add them to")
	case a.Largest > a.Head:
		return errors.New("a line lies beyond the head")
	case a.Head < head:
		// Positions never repeat. A server that has lost history says so with
		// an era, which is higher; this one does not know yet, or never will.
		return fmt.Errorf("%w: from %d to %d", ErrBackwards, head, a.Head)
	}
	last := cutoff.Pos(0)
	for _, l := range a.Lines {
		if l.Pos <= last {
			return errors.New("lines are not in order")
		}
		last = l.Pos
	}
	return nil
}
