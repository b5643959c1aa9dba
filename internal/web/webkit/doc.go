// Package webkit is what every page of curfew is made of and none of what a page
// says.
//
// It owns the look (one style sheet, one small script, the icons, the frame of a
// page and its form fields), the middleware in front of browser routes ([Browser])
// and of all routes ([Observe]), the strict reading of forms ([ParseForm]), the
// parameter claims that two surfaces read ([ParseClaims]), the server side of live
// parts ([Stream]), the name and flags of the session cookie
// ([SetSession]) and the one way to write an instant, a
// span and a number ([Clock], [Span], [Num]).
//
// It promises: templates are parsed once, at start, and a broken one stops the
// program; a page is rendered whole before its first byte is sent; nothing on a
// page needs an inline script or style, so the Content-Security-Policy allows
// none; everything works with scripts off; a panic becomes a 500 and one loud
// line; a log line never holds a query string, a form field or a cookie.
//
// It leaves to its neighbours: who is asking, what may be shown and every word of
// a page (packages pages and portal), and all routes but the assets'.
//
// Trust: view models are trusted to be what the reader may see; their strings are
// not, and html/template escapes them in context. The cookies for theme and keys
// are wishes of the browser and are compared with the known values.
package webkit
