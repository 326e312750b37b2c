package status

import (
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	reasons "github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
)

// Path is the path of the page.
const Path = "/status"

// keep is how long the sections that are the same for all requests are reused, so that they are
// written only once in that time.
const keep = time.Second

//go:embed page.html
var page string

// handler serves the page. It is safe for concurrent use.
type handler struct {
	state  *State
	parts  []part // the page in pieces
	policy string // the Content-Security-Policy

	mu       sync.Mutex        // protects the fields below
	written  time.Time         // the time at which sections were written
	sections map[string]string // by name in the page; a map never changes
}

// part is a piece of the page and the name of the section after it; "" if there is none.
type part struct{ text, section string }

// split splits the page at its sections, which stand in it as {{name}}.
func split(text string) []part {
	var parts []part
	for {
		before, rest, found := strings.Cut(text, "{{")
		if !found {
			return append(parts, part{text: before})
		}
		name, after, _ := strings.Cut(rest, "}}")
		parts = append(parts, part{before, name})
		text = after
	}
}

// policyFor returns the Content-Security-Policy that allows the page to use its own style sheet
// and form, and nothing else.
func policyFor(text string) string {
	_, rest, _ := strings.Cut(text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// Handler returns a handler for the page. A request with the parameters of
// [explain.ReadQuestion] also explains a name. Requests change nothing, and their cost is
// limited: see [keep] and [explain.Limited].
func Handler(s *State) http.Handler {
	return &handler{state: s, parts: split(page), policy: policyFor(page)}
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	status, form, explanation := h.explain(r)
	sections := h.current()
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	var b strings.Builder
	for _, p := range h.parts {
		b.WriteString(p.text)
		switch p.section {
		case "form":
			b.WriteString(form)
		case "explanation":
			b.WriteString(explanation)
		default:
			b.WriteString(sections[p.section])
		}
	}
	_, _ = w.Write([]byte(b.String())) // the client may have closed the connection
}

// current returns the sections that are the same for all requests.
func (h *handler) current() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.sections == nil || now.Sub(h.written) >= keep {
		h.sections, h.written = h.state.render(now), now
	}
	return h.sections
}

// explain returns the status code of the response, the form, and the explanation or error below
// it.
func (h *handler) explain(r *http.Request) (status int, form, explanation string) {
	var f, x writer
	status = http.StatusOK
	q, err := explain.ReadQuestion(r.URL.Query())
	q.Name, q.Type, q.Namespace = strings.TrimSpace(q.Name), strings.ToUpper(strings.TrimSpace(q.Type)), strings.TrimSpace(q.Namespace)
	writeForm(&f, &q)
	var result *explain.Explanation
	switch {
	case err != nil:
	case q.Name == "":
		return status, f.b.String(), ""
	default:
		result, err = h.state.Explain.Explain(r.Context(), q)
	}
	switch {
	case err == nil:
		writeExplanation(&x, result)
	case errors.Is(err, reasons.ErrTooMany):
		status = http.StatusTooManyRequests
		writeError(&x, err)
	default:
		status = http.StatusBadRequest
		writeError(&x, err)
	}
	return status, f.b.String(), x.b.String()
}

// index is the page at the root of the debug address.
const index = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>kubedns</title>
<link rel="icon" href="data:,">
</head>
<body>
<main>
<h1>kubedns</h1>
<ul>
<li><a href="status">Status of the program</a>, and why a name resolves or does not</li>
<li><a href="cache">All records, as JSON</a></li>
<li><a href="log">What is logged</a></li>
<li><a href="debug/pprof/">Profiles</a></li>
</ul>
</main>
</body>
</html>
`

// serveIndex serves the index.
func serveIndex(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(index)) // the client may have closed the connection
}

// Register adds the pages of this package to mux.
func Register(mux *http.ServeMux, s *State) {
	mux.HandleFunc("/{$}", serveIndex)
	mux.Handle(Path, Handler(s))
}
