//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// server is a client of the API server for tests that poll it. Starting kubectl for each
// request would use most of a small machine's CPU.
type server struct {
	client *http.Client
	url    string
}

var apiServer = sync.OnceValues(func() (server, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return server{}, err
	}
	client, err := rest.HTTPClientFor(cfg)
	return server{client, cfg.Host}, err
})

// get returns the content of a path of the API server. On a busy machine this may need a
// second attempt.
func get(path string) (text []byte, err error) {
	for range 3 {
		if text, err = request(http.MethodGet, path, nil); err == nil {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	return text, err
}

// request sends body, if there is one, as JSON, and returns the answer's body if the request
// succeeded.
func request(method, path string, body []byte) ([]byte, error) {
	api, err := apiServer()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, api.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := api.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return text, err
}
