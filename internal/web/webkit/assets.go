package webkit

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// AssetPath is where [Assets] must be mounted: "GET /assets/".
const AssetPath = "/assets/"

type asset struct {
	kind      string // Content-Type
	plain, gz []byte
	url       string
}

var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// byName and byURL are made once, when the program starts, and only read after.
var byName, byURL = func() (map[string]*asset, map[string]*asset) {
	names, urls := map[string]*asset{}, map[string]*asset{}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		b, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(e.Name())
		a := &asset{kind: assetTypes[ext], plain: b,
			url: AssetPath + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext}
		var gz bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&gz, gzip.BestCompression) // the level is valid
		zw.Write(b)                                             // a bytes.Buffer takes everything
		zw.Close()
		a.gz = gz.Bytes()
		names[e.Name()], urls[a.url] = a, a
	}
	return names, urls
}()

// AssetURL returns the address of an embedded file, which changes with its content.
func AssetURL(name string) (string, error) {
	a, ok := byName[name]
	if !ok {
		return "", fmt.Errorf("webkit: no asset %q", name)
	}
	return a.url, nil
}

// Assets serves the embedded files under their hashed names, for ever cacheable.
// Any other name is 404: an old page that asks for an old style sheet must not get
// a new one under the old name.
func Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := byURL[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		h.Set("X-Content-Type-Options", "nosniff")
		body := a.plain
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = a.gz
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			w.Write(body) // the reader went away: nobody to tell
		}
	})
}

func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
		}
	}
	return false
}
