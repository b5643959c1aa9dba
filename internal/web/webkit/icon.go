package webkit

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// icons are drawn by us in a box of 16, stroke 1.5, round. The class "k" is the
// part that is cut out of a filled shape, "f" a filled one. "mark" and nothing
// else has a box of 24.
var icons = map[string]string{
	"apps":     `<path d="M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z"/>`,
	"caret":    `<path d="M4 6.5l4 4 4-4"/>`,
	"closes":   `<circle cx="8" cy="8" r="5.75"/><path class="f" d="M8 2.25a5.75 5.75 0 0 1 0 11.5z"/>`,
	"copy":     `<path d="M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1"/>`,
	"disabled": `<circle cx="8" cy="8" r="5.75"/><path d="M4 12l8-8"/>`,
	"down":     `<path d="M8 2v7.5M4.5 6.5L8 10l3.5-3.5M2.5 13.5h11"/>`,
	"edit":     `<path d="M3 13l.75-3L10.5 3.25l2.25 2.25L6 12.25z"/>`,
	"ended":    `<circle class="f" cx="8" cy="8" r="6.25"/><path class="k" d="M5.2 8.3l2 2 3.6-4.2"/>`,
	"enter":    `<path d="M6.5 2.5h7v11h-7M2.5 8h7M7 5.5L9.5 8 7 10.5"/>`,
	"exit":     `<path d="M9.5 2.5h-7v11h7M6.5 8h7M11 5.5L13.5 8 11 10.5"/>`,
	"eye":      `<path d="M1.5 8S4 3.75 8 3.75 14.5 8 14.5 8 12 12.25 8 12.25 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="1.75"/>`,
	"failed":   `<path d="M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5z"/><path d="M8 5v3.5M8 11h.01"/>`,
	"gauge":    `<path d="M2 11.5a6 6 0 1 1 12 0zM8 11l2.5-3.5"/>`,
	"globe":    `<circle cx="8" cy="8" r="5.75"/><path d="M2.5 8h11M8 2.25c3.5 3.5 3.5 8 0 11.5-3.5-3.5-3.5-8 0-11.5z"/>`,
	"info":     `<circle cx="8" cy="8" r="5.75"/><path d="M8 7.5V11M8 5h.01"/>`,
	"key":      `<circle cx="4.75" cy="11.25" r="2.5"/><path d="M6.6 9.4l6.4-6.4M10 6l2 2"/>`,
	"laptop":   `<path d="M3.5 3.5h9v6.5h-9zM1.5 12.5h13"/>`,
	"layers":   `<path d="M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3"/>`,
	"list":     `<path d="M6 4h8M6 8h8M6 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01"/>`,
	"lives":    `<path d="M8 2.5l6.25 11H1.75z"/><path d="M8 6.5v3M8 11.5h.01"/>`,
	"mail":     `<path d="M2 3.5h12v9H2zM2.5 4.5L8 9l5.5-4.5"/>`,
	"menu":     `<path d="M2.5 4h11M2.5 8h11M2.5 12h11"/>`,
	"phone":    `<path d="M5 1.75h6a.75.75 0 0 1 .75.75v11a.75.75 0 0 1-.75.75H5a.75.75 0 0 1-.75-.75v-11A.75.75 0 0 1 5 1.75zM7.5 11.75h1"/>`,
	"plus":     `<path d="M8 2.5v11M2.5 8h11"/>`,
	"receipt":  `<path d="M3.5 1.75h9v12.5l-1.8-1.2-1.35 1.2L8 13.05l-1.35 1.2-1.35-1.2-1.8 1.2zM6 5h4M6 8h4"/>`,
	"refused":  `<path d="M3.5 7h9v6.5h-9zM5.5 7V4.75a2.5 2.5 0 0 1 5 0V7"/>`,
	"renew":    `<path d="M13.25 8A5.25 5.25 0 1 1 11.5 4.1L13.25 5.5M13.25 2v3.5H9.75"/>`,
	"revoke":   `<path d="M3.5 8.5a4.5 4.5 0 0 1 9 0zM1.5 11h13M5.5 13.5h5"/>`,
	"ring":     `<circle cx="8" cy="8" r="5.25"/>`,
	"search":   `<circle cx="7" cy="7" r="4.5"/><path d="M10.5 10.5L14 14"/>`,
	"shield":   `<path d="M8 1.75l5.25 2v4.5c0 3-2.25 5-5.25 6-3-1-5.25-3-5.25-6v-4.5z"/>`,
	"star":     `<path d="M8 1.75l1.9 4 4.35.55-3.2 3 .8 4.3L8 11.5l-3.85 2.1.8-4.3-3.2-3 4.35-.55z"/>`,
	"user":     `<circle cx="8" cy="5.25" r="2.75"/><path d="M2.75 14a5.25 5.25 0 0 1 10.5 0"/>`,
	"waiting":  `<circle cx="8" cy="8" r="5.5" stroke-dasharray="2 2.32"/>`,
	"x":        `<path d="M3.5 3.5l9 9M12.5 3.5l-9 9"/>`,
}

// Icon returns the reference to an icon of the page's sprite, hidden from screen
// readers: it stands beside a word, or inside something with an accessible name.
// An unknown name is a mistake of ours and fails the rendering.
func Icon(name string) (template.HTML, error) {
	if _, ok := icons[name]; !ok {
		return "", fmt.Errorf("webkit: no icon %q", name)
	}
	return template.HTML(`<svg class="i" aria-hidden="true"><use href="#i-` + name + `"/></svg>`), nil
}

// sprite holds every icon once, so that a table of a hundred rows does not repeat
// the drawings. The hatch and the dots of the charts live beside them because
// fill="url(#hatch)" looks in its own document.
var sprite = func() template.HTML {
	var names []string
	for n := range icons {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(`<svg class="sprite" width="0" height="0" aria-hidden="true"><defs>` +
		`<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch-a" d="M0 0h6v6H0z"/><path class="hatch-b" d="M0 0h2v6H0z"/></pattern></defs>`)
	for _, n := range names {
		fmt.Fprintf(&b, `<symbol id="i-%s" viewBox="0 0 16 16">%s</symbol>`, n, icons[n])
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}()

// mark is the identity: a sun half below a line.
const mark template.HTML = `<svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path class="sun" d="M5 13.5a7 7 0 0 1 14 0z"/><path class="rule" d="M2.5 16.5h19M7.5 20.5h9"/></svg>`
