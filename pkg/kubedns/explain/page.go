package explain

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"github.com/kube-dns/kube-dns/pkg/explain"
)

// Path is the path at which [Limited] serves explanations.
const Path = explain.Path

// defaultDot is the value of ndots in Pods.
const defaultDot = 5

// Limited explains names for clients that are not trusted, within the limits of [explain.Page].
// As a handler, it serves explanations on [explain.Path]. Requests are GET ?name=NAME; the
// parameters type, namespace, ndots and output=json are optional.
type Limited struct {
	*explain.Page
	explainer *Explainer
}

// NewLimited returns a Limited that explains names with e.
func NewLimited(e *Explainer) *Limited {
	page := explain.NewPage(func(ctx context.Context, query url.Values) (explain.Explanation, error) {
		q, err := ReadQuestion(query)
		if err != nil {
			return nil, err
		}
		return e.Explain(ctx, q)
	}, "name", "type", "namespace", "ndots")
	return &Limited{explainer: e, Page: page}
}

// Explain is like [Explainer.Explain], but the error may also be [explain.ErrTooMany] or that
// of ctx.
func (l *Limited) Explain(ctx context.Context, q Question) (x *Explanation, err error) {
	limit := l.Do(ctx, func() { x, err = l.explainer.Explain(ctx, q) })
	return x, errors.Join(limit, err)
}

// ReadQuestion reads a question from the parameters name, type, namespace and ndots.
func ReadQuestion(query url.Values) (Question, error) {
	q := Question{Name: query.Get("name"), Type: query.Get("type"), Namespace: query.Get("namespace"), NDots: defaultDot}
	if text := query.Get("ndots"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 15 {
			return q, errors.New("ndots must be a number from 0 to 15")
		}
		q.NDots = n
	}
	return q, nil
}

// fetch gets the explanation from a running kubedns.
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
