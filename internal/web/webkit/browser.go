package webkit

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

const (
	cspBase = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	cspForm = cspBase + "; form-action 'self'"
)

// SecurityHeaders sets what every page of ours carries: the policy without inline
// script or style, no framing, no sniffing, no referrer, no storing.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", cspForm)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// FormMayLeave drops form-action from this answer's policy, for pages whose form
// ends in a redirect to an application: Chromium applies form-action to the whole
// chain of redirects. Call it before the first byte.
func FormMayLeave(w http.ResponseWriter) { w.Header().Set("Content-Security-Policy", cspBase) }

// FramesFrom lets this answer frame pages of the given origins and of no others.
// Call it before the first byte.
func FramesFrom(w http.ResponseWriter, origins []string) {
	w.Header().Set("Content-Security-Policy", cspForm+"; frame-src "+strings.Join(origins, " "))
}

// Browser wraps routes that people's browsers use: security headers and refusal of
// cross-origin writes. The bypass patterns (as of http.ServeMux) are for routes
// that a standard lets other sites post to; they must only store and redirect.
func Browser(next http.Handler, bypass ...string) http.Handler {
	cop := http.NewCrossOriginProtection()
	for _, p := range bypass {
		cop.AddInsecureBypassPattern(p)
	}
	cop.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteError(w, r, errCrossOrigin)
	}))
	return SecurityHeaders(cop.Handler(next))
}

type requestKey struct{}

// RequestID is the id of the request behind ctx, for log lines, audit and the
// error page; empty outside [Observe].
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Observe gives each request an id, turns a panic into a 500, and logs one line
// for each: method, route pattern, status, ms, id. Never the path, which may
// hold a name, nor the query, which may hold a code.
func Observe(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := rand.Text()[:16]
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
		w.Header().Set("X-Request-Id", id)
		sw := &statusWriter{ResponseWriter: w}
		level := slog.LevelInfo
		attrs := []slog.Attr{slog.String("method", r.Method)}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				level = slog.LevelError
				attrs = append(attrs, slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
				if sw.status == 0 {
					WriteError(sw, r, errPanic)
				}
			}
			if sw.status == 0 {
				sw.status = http.StatusOK
			}
			attrs = append(attrs, slog.String("route", r.Pattern), slog.Int("status", sw.status),
				slog.Float64("ms", float64(time.Since(start).Microseconds())/1000), slog.String("request", id))
			log.LogAttrs(r.Context(), level, "request", attrs...)
		}()
		next.ServeHTTP(sw, r)
	})
}

// statusWriter remembers the status. It is written by the handler's goroutine only.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
