package feed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// BenchmarkFanout measures how long a cut takes from its commit to the last of so
// many guards, over real HTTP on loopback with both ends in this process; policy: the
// same by stream of a changed policy, after which each guard has tokens judged again.
func BenchmarkFanout(b *testing.B) {
	for _, how := range []string{"stream", "longpoll", "policy"} {
		for _, guards := range []int{100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", how, guards), func(b *testing.B) {
				if how == "longpoll" {
					benchPolls(b, guards)
				} else {
					benchStreams(b, guards, how == "policy")
				}
			})
		}
	}
}

// bell notes when a line is durable: the first commit after it was armed, which
// is the cut's or, to the disadvantage of the figure, one before it.
type bell struct{ at atomic.Int64 }

func (l *bell) hooks() store.Hooks {
	return store.Hooks{AfterCommit: func() { l.at.CompareAndSwap(0, time.Now().UnixNano()) }}
}

func (h *house) processes(n int) []relay.ProcessID {
	h.t.Helper()
	out := make([]relay.ProcessID, n)
	for i := range out {
		r, err := h.relay.Register(h.t.Context(), h.app, relay.Registration{Name: fmt.Sprintf("mail-%d", i), Resource: mail, MaxStaleness: 10 * time.Second})
		if err != nil {
			h.t.Fatal(err)
		}
		out[i] = r.Process
	}
	return out
}

func (h *house) cut() *store.Cut {
	h.t.Helper()
	var c *store.Cut
	err := h.db.Urgent(context.Background(), func(tx *store.Tx) (err error) {
		if h.rules { // a changed policy instead
			if c, err = tx.Event(standing.PolicyChanged, standing.Victim{}, audit.Party{}); err == nil {
				tx.Cut(c)
			}
			return err
		}
		c, _, err = tx.RevokeUser(h.ada, directory.SessionID{}, [32]byte{})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func client(n int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 2 * n, MaxIdleConnsPerHost: 2 * n, DisableCompression: true}}
}

func (h *house) request(ctx context.Context, query string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/feed?"+query, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.SetBasicAuth("mail", url.QueryEscape(secret))
	return req
}

// report tells the median and the 99th percentile of the times to the last guard.
func report(b *testing.B, last []time.Duration) {
	slices.Sort(last)
	at := func(q float64) float64 {
		return float64(last[int(q*float64(len(last)-1))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "last-p50-ms")
	b.ReportMetric(at(0.99), "last-p99-ms")
	b.ReportMetric(0, "ns/op") // of a round with its pauses: means nothing
}

func benchStreams(b *testing.B, guards int, rules bool) {
	var committed bell
	h := newHouse(b, committed.hooks())
	h.rules = rules
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	c := client(guards)
	arrived := make(chan int64, guards)
	var open sync.WaitGroup
	for _, p := range h.processes(guards) {
		open.Add(1)
		all.Go(func() {
			req := h.request(ctx, "process="+p.String())
			req.Header.Set("Accept", "text/event-stream")
			resp, err := c.Do(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("stream: %v %v", resp, err)
				open.Done()
				return
			}
			defer resp.Body.Close()
			open.Done()
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				if bytes.HasPrefix(lines.Bytes(), []byte("data: ")) {
					arrived <- time.Now().UnixNano()
				}
			}
		})
	}
	open.Wait()
	if b.Failed() {
		return
	}
	var last []time.Duration
	b.ResetTimer()
	for b.Loop() {
		committed.at.Store(0)
		h.cut()
		var end int64
		for range guards {
			end = max(end, <-arrived)
		}
		last = append(last, time.Duration(end-committed.at.Load()))
	}
	report(b, last)
}

func benchPolls(b *testing.B, guards int) {
	var committed bell
	h := newHouse(b, committed.hooks())
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	c := client(guards)
	arrived := make(chan int64, guards)
	for _, p := range h.processes(guards) {
		all.Go(func() {
			query := ""
			for ctx.Err() == nil {
				resp, err := c.Do(h.request(ctx, "process="+p.String()+query))
				if err != nil {
					if ctx.Err() == nil {
						b.Errorf("ask: %v", err)
					}
					return
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				at := time.Now().UnixNano()
				var a struct {
					Cursor string
					Lines  []json.RawMessage
				}
				if err == nil {
					err = json.Unmarshal(text, &a)
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					if ctx.Err() == nil {
						b.Errorf("ask: %s %v", text, err)
					}
					return
				}
				if query != "" && len(a.Lines) > 0 {
					arrived <- at
				}
				query = "&wait=30s&after=" + a.Cursor
			}
		})
	}
	var last []time.Duration
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		for h.held() < guards && !b.Failed() {
			time.Sleep(time.Millisecond)
		}
		b.StartTimer()
		committed.at.Store(0)
		h.cut()
		var end int64
		for range guards {
			end = max(end, <-arrived)
		}
		last = append(last, time.Duration(end-committed.at.Load()))
	}
	report(b, last)
}

// held is how many requests are being served.
func (h *house) held() int { return int(h.serving.Load()) }

// BenchmarkAsk is one question with an answer at once: authenticate, judge the
// cursor, answer, over HTTP on one connection.
func BenchmarkAsk(b *testing.B) {
	h := newHouse(b, store.Hooks{})
	c := client(1)
	ask := func(query string) string {
		resp, err := c.Do(h.request(b.Context(), query))
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		var a struct{ Cursor string }
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.Cursor == "" {
			b.Fatalf("status %d, %v", resp.StatusCode, err)
		}
		io.Copy(io.Discard, resp.Body)
		return a.Cursor
	}
	p := "process=" + h.processes(1)[0].String()
	cursor := ask(p)
	b.ReportAllocs()
	for b.Loop() {
		cursor = ask(p + "&after=" + cursor)
	}
}
