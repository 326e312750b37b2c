package explain

import (
	"context"
	"net/http"
	"net/url"

	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/logging"
)

// Handler returns a handler that serves explanations on [explain.Path], within the limits of
// [explain.Page]. Requests are GET ?name=NAME; type=TYPE and output=json may follow.
//
// It answers only requests from the loopback interface, as for the log ([logging.FromHere]): an
// explanation names the files of local data and sends questions to upstream servers, which
// others who may read the metrics at the same address must not be able to do.
func Handler(e *Explainer) http.Handler {
	page := explain.NewPage(func(ctx context.Context, query url.Values) (explain.Explanation, error) {
		return e.Explain(ctx, Question{Name: query.Get("name"), Type: query.Get("type")})
	}, "name", "type")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := logging.FromHere(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		page.ServeHTTP(w, r)
	})
}
