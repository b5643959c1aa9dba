package webkit

import (
	"bytes"
	"net/http"
	"time"
)

// Stream is the server side of an EventSource: fragments of HTML that replace the
// parts of an element with data-live.
type Stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// streamWrite bounds one write to a reader that does not read.
const streamWrite = 5 * time.Second

// NewStream answers 200 and begins an event stream.
func NewStream(w http.ResponseWriter) (*Stream, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that collect answers
	w.WriteHeader(http.StatusOK)
	s := &Stream{w, http.NewResponseController(w)}
	return s, s.write([]byte("retry: 1000\n\n"))
}

// Send sends one fragment.
func (s *Stream) Send(fragment []byte) error {
	var b bytes.Buffer
	for line := range bytes.SplitSeq(bytes.TrimRight(fragment, "\n"), []byte("\n")) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return s.write(b.Bytes())
}

// Keep sends a comment, so that both ends notice a dead connection.
func (s *Stream) Keep() error { return s.write([]byte(": keep\n\n")) }

// End tells the script that nothing more will come; it stops asking.
func (s *Stream) End() error { return s.write([]byte("event: end\ndata: end\n\n")) }

func (s *Stream) write(b []byte) error {
	// Not every writer has deadlines (recorders in tests); the server's do.
	_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.rc.Flush()
}
