package directory

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ID is the object id of an Of: 16 bytes, written as a UUID. Ids of different
// things are different types and do not mix. The zero ID names nothing.
type ID[Of any] [16]byte

// The ids of the house.
type (
	UserID       = ID[User]
	GroupID      = ID[Group]
	DeviceID     = ID[Device]
	SessionID    = ID[Session]
	GrantID      = ID[Grant]
	AssignmentID = ID[RoleAssignment]
	MethodID     = ID[Method]
	ObjectID     = ID[App] // of an application; its client_id is the AppID

	AppAssignmentID = ID[AppAssignment]
)

// The things behind ids whose own types live in other rooms.
type (
	Session struct{}
	Grant   struct{}
)

// AppID is a client_id: any string of 1 to 255 printable ASCII characters
// without spaces, chosen by whoever registers the application.
type AppID string

// ResourceID is the identifier of a resource, the aud of its access tokens: an
// absolute URI without fragment, or a GUID.
type ResourceID string

// NewID returns a fresh id: a UUID version 7 (RFC 9562 §5.7) for the time now.
func NewID[Of any](now time.Time) ID[Of] {
	var id ID[Of]
	rand.Read(id[:]) // never fails (crypto/rand)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ErrID is returned for a string that is not a UUID.
var ErrID = errors.New("not an object id")

// ParseID reads the 36-character form, in either case.
func ParseID[Of any](s string) (ID[Of], error) {
	var id ID[Of]
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, ErrID
	}
	if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return ID[Of]{}, ErrID
	}
	return id, nil
}

// String returns the lower-case UUID form.
func (id ID[Of]) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether the id names nothing.
func (id ID[Of]) IsZero() bool { return id == ID[Of]{} }

// MarshalText writes the UUID form.
func (id ID[Of]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the UUID form.
func (id *ID[Of]) UnmarshalText(b []byte) error {
	v, err := ParseID[Of](string(b))
	*id = v
	return err
}

// Scan reads 16 bytes from a database column; NULL is the zero id.
func (id *ID[Of]) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*id = ID[Of]{}
		return nil
	case []byte:
		if len(b) == 16 {
			copy(id[:], b)
			return nil
		}
	}
	return fmt.Errorf("scan object id from %T", src)
}
