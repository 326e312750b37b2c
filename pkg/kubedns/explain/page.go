package explain

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/explain"
)

// Path is where [Handler] is served.
const Path = explain.Path

// defaultDot is ndots in Pods.
const defaultDot = 5

// Handler serves explanations on [explain.Path]: GET ?name=NAME, with type, namespace, ndots
// and output=json as further parameters, within the limits of [explain.Page].
func Handler(e *Explainer) http.Handler {
	return explain.NewPage(func(w http.ResponseWriter, r *http.Request) { serve(e, w, r) })
}

func serve(e *Explainer, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	q := Question{Name: query.Get("name"), Type: query.Get("type"), Namespace: query.Get("namespace"), NDots: defaultDot}
	if text := query.Get("ndots"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 15 {
			http.Error(w, "ndots must be a number from 0 to 15", http.StatusBadRequest)
			return
		}
		q.NDots = n
	}
	x, err := e.Explain(r.Context(), q)
	if err != nil {
		http.Error(w, explain.Line(err.Error()), http.StatusBadRequest)
		return
	}
	write, content := x.WriteText, "text/plain; charset=utf-8"
	if query.Get("output") == "json" {
		write, content = x.WriteJSON, "application/json"
	}
	w.Header().Set("Content-Type", content)
	_ = write(w) // the client may have closed the connection
}

// fetch asks the page of a running server.
func fetch(ctx context.Context, server string, q Question) (*Explanation, error) {
	x := &Explanation{}
	err := explain.Fetch(ctx, server, "a running kubedns's --debug-address, such as http://127.0.0.1:6060", url.Values{
		"name": {q.Name}, "type": {q.Type}, "namespace": {q.Namespace}, "ndots": {strconv.Itoa(q.NDots)}, "output": {"json"},
	}, x)
	if err == nil && x.Status == "" {
		err = errors.New("the answer is not an explanation")
	}
	return x, err
}
