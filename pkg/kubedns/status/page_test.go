package status

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
)

// No text from other sources can become markup, and its visible characters stay.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "web.default", `"><script>x</script>`, "&lt;&#34;'`", "\x00\x1b[2J\u202e\u2028\ufeff", "\xff\xfe<", strings.Repeat("ü<", 2000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w writer
		w.text(s)
		out := w.b.String()
		if strings.ContainsAny(out, `<>"'`) || !utf8.ValidString(out) || len(out) > 6*maxText+10 {
			t.Fatalf("%q becomes %q", s, out)
		}
		for _, r := range out {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
				t.Fatalf("%q has %U", out, r)
			}
		}
		if len(s) <= maxText {
			if back := html.UnescapeString(out); back != strings.Map(visible, s) {
				t.Fatalf("%q reads %q", s, back)
			}
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 499 * time.Millisecond: "0 s", 59 * time.Second: "59 s", 60 * time.Second: "1 min",
		61 * time.Second: "1 min 1 s", time.Hour: "1 h", 90 * time.Minute: "1 h 30 min", 25 * time.Hour: "1 d 1 h", 48*time.Hour + time.Minute: "2 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// The page and its sections match, and the policy allows its style sheet.
func TestPage(t *testing.T) {
	var names []string
	for _, p := range split(page) {
		if p.section != "" {
			names = append(names, p.section)
		}
		if strings.Contains(p.text, "}}") {
			t.Errorf("a section without a beginning: %q", p.text)
		}
	}
	if got, want := strings.Join(names, " "), "title summary form explanation sync configuration servers failures messages"; got != want {
		t.Errorf("sections %s, want %s", got, want)
	}
	for _, wrong := range []string{"<script", "style=", "http:", "https:", "onclick", "url("} {
		if strings.Contains(page, wrong) || strings.Contains(index, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
}

// Requests that would change something are refused before they have any effect.
func TestRefuses(t *testing.T) {
	for _, method := range []string{"POST", "DELETE", "PUT", "OPTIONS"} {
		w := httptest.NewRecorder()
		Handler(nil).ServeHTTP(w, httptest.NewRequest(method, "/status", http.NoBody))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// Beyond the limit for explanations, the page is served with the reason in place of the
// explanation. After a while, explanations are served again.
func TestTooManyExplanations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := explain.NewLimited(nil)
		for limited.Do(t.Context(), func() {}) == nil { // use up the burst
		}
		h := &handler{state: &State{Explain: limited}, parts: split(page), sections: map[string]string{"sync": "<p>the objects</p>"}, written: time.Now()}
		r := httptest.NewRequest(http.MethodGet, "/status?name=web", http.NoBody)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code != http.StatusTooManyRequests || !strings.Contains(body, "at most 5 explanations a second") || !strings.Contains(body, "the objects") {
			t.Errorf("%d %s", w.Code, body)
		}
		time.Sleep(200 * time.Millisecond)
		if err := limited.Do(t.Context(), func() {}); err != nil {
			t.Error(err)
		}
	})
}
