package webkit

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

type rgb [3]float64

// tokens reads the custom properties of the style sheet that are colours: light
// and dark.
func tokens(t *testing.T) map[string][2]rgb {
	t.Helper()
	out := map[string][2]rgb{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+):light-dark\((#[0-9a-f]{6}),(#[0-9a-f]{6})\)`).FindAllSubmatch(byName["curfew.css"].plain, -1) {
		out[string(m[1])] = [2]rgb{parseHex(t, string(m[2])), parseHex(t, string(m[3]))}
	}
	return out
}

func parseHex(t *testing.T, s string) (c rgb) {
	t.Helper()
	for i := range c {
		n, err := strconv.ParseUint(s[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c[i] = float64(n) / 255
	}
	return c
}

// luminance and contrast are those of WCAG 2.2.
func luminance(c rgb) float64 {
	for i, v := range c {
		if v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

func contrast(a, b rgb) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastIsWhatTheDesignPromises(t *testing.T) {
	t.Parallel()
	tok := tokens(t)
	if len(tok) != 29 {
		t.Errorf("%d colour tokens, the design has 29", len(tok))
	}
	grounds := "canvas surface raised sunken hover"
	for _, row := range []struct {
		min       float64
		what, ons string
	}{
		{4.6, "ink ink-2", grounds + " accent-soft warn-soft"},
		{4.6, "ink-3", "canvas surface raised hover accent-soft"},
		{4.6, "accent accent-strong", "canvas surface raised hover"},
		{4.6, "danger", "canvas surface raised danger-soft"},
		{4.6, "warn", "surface raised hover warn-soft"},
		{4.6, "ok", "canvas surface raised"},
		{4.6, "on-ink", "ink ink-2"},
		{4.6, "on-danger", "danger-fill"},
		{3, "on-danger", "danger-hover"},
		{3, "ok warn accent", "accent-soft hover warn-soft canvas"}, // icons beside a word
		{3, "line-strong", "canvas surface raised sunken"},
		{3, "bar", "surface"},
		{3, "warn-bar", "surface"},
		{3, "focus", grounds + " accent-soft"},
		{3, "on-ink", "accent"}, // the tick of a checkbox
	} {
		for what := range strings.FieldsSeq(row.what) {
			for on := range strings.FieldsSeq(row.ons) {
				fg, ok1 := tok[what]
				bg, ok2 := tok[on]
				if !ok1 || !ok2 {
					t.Fatalf("no token %s or %s", what, on)
				}
				for i, theme := range []string{"light", "dark"} {
					if c := contrast(fg[i], bg[i]); c < row.min {
						t.Errorf("%s: %s on %s is %.2f:1, promised %.1f:1", theme, what, on, c, row.min)
					}
				}
			}
		}
	}
}

func TestContrastOfBlackOnWhite(t *testing.T) {
	t.Parallel()
	if c := contrast(rgb{0, 0, 0}, rgb{1, 1, 1}); math.Abs(c-21) > 0.001 {
		t.Errorf("contrast of black on white is %v", c)
	}
}

func TestAssetsKeepTheirSize(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"curfew.css": 32 << 10, "curfew.js": 12 << 10, "factor.js": 4 << 10, "mark.svg": 1 << 10} {
		if n := len(byName[name].plain); n > limit || n < 100 {
			t.Errorf("%s has %d bytes, at most %d", name, n, limit)
		}
	}
}

func TestStyleSheetIsWhole(t *testing.T) {
	t.Parallel()
	css := byName["curfew.css"].plain
	if bytes.Count(css, []byte("{")) != bytes.Count(css, []byte("}")) {
		t.Error("braces do not match")
	}
	defined, used := map[string]bool{}, regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllSubmatch(css, -1)
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+):`).FindAllSubmatch(css, -1) {
		defined[string(m[1])] = true
	}
	seen := map[string]bool{}
	for _, m := range used {
		seen[string(m[1])] = true
		if !defined[string(m[1])] {
			t.Errorf("var(--%s) is not defined", m[1])
		}
	}
	for d := range defined {
		if !seen[d] {
			t.Errorf("--%s is not used", d)
		}
	}
	if bytes.Contains(css, []byte("url(")) || bytes.Contains(css, []byte("@import")) {
		t.Error("the style sheet fetches something")
	}
	// Colours live in the tokens; shadows are the exception.
	rest := regexp.MustCompile(`--[a-z0-9-]+:[^;]+;`).ReplaceAll(css, nil)
	if m := regexp.MustCompile(`#[0-9a-f]{3,8}\b`).Find(rest); m != nil {
		t.Errorf("colour %s outside the tokens", m)
	}
	for _, must := range []string{"prefers-reduced-motion", "forced-colors", "@media print", ":focus-visible", "max-width:900px"} {
		if !bytes.Contains(css, []byte(must)) {
			t.Errorf("nothing for %s", must)
		}
	}
}

// Every icon fits its box, roughly: no coordinate of a path's start lies outside.
func TestIconsStayInTheirBox(t *testing.T) {
	t.Parallel()
	for name, body := range icons {
		for _, m := range regexp.MustCompile(`[ML](-?[\d.]+)[ ,]?(-?[\d.]+)`).FindAllStringSubmatch(body, -1) {
			for _, s := range m[1:] {
				if v, err := strconv.ParseFloat(s, 64); err != nil || v < 0 || v > 16 {
					t.Errorf("icon %s: %s", name, m[0])
				}
			}
		}
	}
	if _, err := Icon("no such"); err == nil {
		t.Error("an unknown icon is no error")
	}
	if html, err := Icon("ended"); err != nil || !strings.Contains(string(sprite), fmt.Sprintf("id=%q", "i-ended")) || !strings.Contains(string(html), `href="#i-ended"`) {
		t.Error("icon and sprite do not meet")
	}
}
