package explain

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is the largest accepted body of a response, and maxComplaint the longest part of an
// error's text that is shown, in octets.
const (
	maxBody      = 4 << 20
	maxComplaint = 300
)

// Fetch gets an explanation from the program at the URL server, which serves a [Page], and
// decodes its JSON into x. The scheme of the URL may be missing, and [Path] is added to it.
// Errors name the expected address by the words in what. parameters are those of the question.
//
// The request is sent without http.Client, which would make the programs half a megabyte
// larger.
func Fetch(ctx context.Context, server, what string, parameters url.Values, x any) error {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "http" || base.Hostname() == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return fmt.Errorf("want the http:// URL of %s", what)
	}
	base.Path, base.RawPath = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/"), Path)+Path, ""
	base.RawQuery = parameters.Encode()
	response, err := get(ctx, base)
	switch {
	case ctx.Err() != nil:
		return errors.New("no answer in time (--timeout)")
	case err != nil:
		return errors.New(Line(err.Error()))
	}
	if response.status != http.StatusOK {
		return complaint(response, what)
	}
	if len(response.body) > maxBody {
		return fmt.Errorf("the answer is larger than %d MiB, so it is not an explanation; want the URL of %s", maxBody>>20, what)
	}
	if err := json.Unmarshal(response.body, x); err != nil {
		return fmt.Errorf("the answer is not an explanation (%s); want the URL of %s", Line(err.Error()), what)
	}
	return nil
}

// response holds the parts of a response that Fetch needs.
type response struct {
	status int    // such as 200
	text   string // such as "200 OK"
	body   []byte // at most maxBody+1 octets
}

// get sends an HTTP/1.0 GET request and reads the response. When ctx ends, so does the
// connection.
func get(ctx context.Context, address *url.URL) (*response, error) {
	port := cmp.Or(address.Port(), "80")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(address.Hostname(), port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\nAccept: application/json\r\n\r\n", address.RequestURI(), address.Host); err != nil {
		return nil, err
	}
	// Limit head and body together, whatever length the head claims.
	in := bufio.NewReader(io.LimitReader(conn, maxBody+64<<10))
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, fmt.Errorf("the answer is not HTTP: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil && len(body) <= maxBody {
		return nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	return &response{status: resp.StatusCode, text: resp.Status, body: body}, nil
}

// complaint returns the error for a status other than 200.
func complaint(r *response, what string) error {
	text, status := Line(strings.TrimSpace(string(r.body[:min(len(r.body), maxComplaint)]))), Line(r.text)
	switch {
	case r.status == http.StatusNotFound:
		return fmt.Errorf("%s: nothing is explained there; want the URL of %s", status, what)
	case text == "":
		return errors.New(status)
	}
	return fmt.Errorf("%s: %s", status, text)
}
