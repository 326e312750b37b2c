package explain

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// plain is an explanation without content.
type plain struct{}

func (plain) WriteText(io.Writer) error { return nil }

func explainNothing(context.Context, url.Values) (Explanation, error) { return plain{}, nil }

func request(p *Page, method string) int {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), method, Path, http.NoBody))
	return w.Code
}

// After a burst of 10 requests, the page serves 5 requests a second, one at a time.
func TestPageIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, served atomic.Int32
		p := NewPage(func(context.Context, url.Values) (Explanation, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(10 * time.Millisecond)
			now.Add(-1)
			served.Add(1)
			return plain{}, nil
		})
		for range 10 * 100 {
			go request(p, http.MethodGet)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if n := served.Load(); n < 55 || n > 61 || most.Load() != 1 {
			t.Errorf("%d served in 10 s, %d at a time", n, most.Load())
		}
	})
}

func TestPageMethods(t *testing.T) {
	p := NewPage(explainNothing)
	for method, want := range map[string]int{"GET": 200, "POST": 405, "PUT": 405, "DELETE": 405, "HEAD": 405, strings.Repeat("X", 100): 405} {
		if got := request(p, method); got != want {
			t.Errorf("%s: %d", method, got)
		}
	}
}

// A request with a parameter that the page does not have, or that is not clear, is refused.
func TestPageParameters(t *testing.T) {
	p := NewPage(explainNothing, "name", "type")
	for query, want := range map[string]string{
		"":                               "",
		"name=a&type=A":                  "",
		"type=&name=a&output=":           "",
		"name=a&output=json":             "",
		"name=a&output=xml":              "output: want text or json",
		"nam=a":                          `unknown parameter "nam"; the parameters are name, type and output`,
		"name=a&typ=AAAA":                `unknown parameter "typ"`,
		"Name=a":                         `unknown parameter "Name"`,
		"name=a&name=b":                  "name is given more than once",
		"name=a&output=json&output=text": "output is given more than once",
		"name=%zz":                       "invalid URL escape",
		"name=a;type=A":                  "semicolon",
		"%1b%5b31m=a":                    `unknown parameter "\x1b[31m"`,
	} {
		w := httptest.NewRecorder()
		p.tokens = burst
		p.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, Path+"?"+query, http.NoBody))
		switch {
		case want == "" && w.Code != http.StatusOK:
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		case want != "" && (w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want)):
			t.Errorf("%q: %d %s, want %s", query, w.Code, w.Body, want)
		}
	}
}
