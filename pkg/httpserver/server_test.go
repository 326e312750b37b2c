package httpserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serve starts a server on loopback and returns its address.
func serve(t *testing.T, cfg Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, cfg) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve = %v, want nil after its context ended", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Serve did not return within 5 s of the end of its context")
		}
	})
	return l.Addr().String()
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

// probe is a request of its own connection, from an address of its own if from
// is not empty. It returns the status, and how long it took.
func probe(t *testing.T, addr, from string) (int, time.Duration) {
	t.Helper()
	var d net.Dialer
	if from != "" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext}}
	start := time.Now()
	resp, err := client.Get("http://" + addr + "/")
	if err != nil {
		t.Error(err)
		return 0, time.Since(start)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, time.Since(start)
}

// Whatever 600 connections of one client do, a probe is answered soon, from the
// same address and sooner from another.
func TestProbesAreAnsweredDuringFloods(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 8<<20)
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, _ = w.Write(big)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	floods := map[string]string{
		"says nothing":              "",
		"half a header":             "GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
		"idle after a request":      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"never reads its response":  "GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
		"promises a body":           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
		"begins a chunked body":     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"waits to be asked to send": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
	}
	for name, text := range floods {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, Config{Handler: slow})
			for range 600 {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				_, _ = io.WriteString(c, text)
			}
			for _, from := range []string{"127.0.0.2", "127.0.0.1"} {
				if status, took := probe(t, addr, from); status != http.StatusOK || took > 4*time.Second {
					t.Errorf("probe from %s: status %d after %v", from, status, took)
				} else {
					t.Logf("probe from %s: answered after %v", from, took)
				}
			}
		})
	}
}

// A flood from many addresses does not delay the probe of another one.
func TestProbesComeBeforeFloodsFromManyAddresses(t *testing.T) {
	addr := serve(t, Config{MaxConns: 64, Handler: ok})
	for i := range 1200 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+i%40))}}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nX-A: ")
	}
	// In turn with the others it would take 1200/64 times headerPatience, 7.5 s.
	if status, took := probe(t, addr, "127.0.0.2"); status != http.StatusOK || took > 3*time.Second {
		t.Errorf("status %d after %v", status, took)
	} else {
		t.Logf("answered after %v", took)
	}
}

func TestServedConnectionsAreBounded(t *testing.T) {
	var now, most atomic.Int64
	addr := serve(t, Config{MaxConns: 8, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
	})})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if status, _ := probe(t, addr, ""); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > 6 || n < 2 {
		t.Errorf("%d requests of one client at a time, want at most 6 of 8", n)
	}
}

func TestBodiesAndHugeHeadersAreRefused(t *testing.T) {
	addr := serve(t, Config{Handler: ok})
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                              " 200 ",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello":                                        " 413 ",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":                                     " 413 ",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 64<<10) + "\r\n\r\n":                    " 431 ",
		"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n":                                " 431 ",
		"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 8<<10) + "\r\n":                          " 431 ",
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 this is not HTTP\r\n\r\n":                               " 400 ",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n":                         " 200 ",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\nConnection: close\r\n\r\nhello": " 400 ",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, request)
		got, _ := io.ReadAll(c)
		_ = c.Close()
		line, _, _ := strings.Cut(string(got), "\r\n")
		if !strings.Contains(line, want) {
			t.Errorf("%.60q: answered %q, want%s", request, line, want)
		}
	}
}

// The gate survives every order of opening, sending, and closing.
func TestConnectionsComeAndGo(t *testing.T) {
	addr := serve(t, Config{Handler: ok, MaxConns: 4})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 100 {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				if (i+worker)%3 > 0 {
					_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				}
				if (i+worker)%3 > 1 {
					_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					_, _ = c.Read(make([]byte, 100))
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if status, _ := probe(t, addr, ""); status != http.StatusOK {
		t.Errorf("status %d afterwards", status)
	}
}

func TestGraceLetsARequestEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, Config{Grace: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			cancel()
			time.Sleep(50 * time.Millisecond)
			_, _ = io.WriteString(w, "ok")
		})})
	}()
	if status, _ := probe(t, l.Addr().String(), ""); status != http.StatusOK {
		t.Errorf("status %d, want the response of the last request", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Requests share renders, and each gets one that began after it came.
func TestMetricsAreRenderedOneAtATime(t *testing.T) {
	var running, renders atomic.Int64
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "renders", Help: "x"}, func() float64 {
		if running.Add(1) > 1 {
			t.Error("two renders at a time")
		}
		defer running.Add(-1)
		time.Sleep(10 * time.Millisecond)
		return float64(renders.Add(1))
	}))
	addr := serve(t, Config{Handler: Metrics(registry)})
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			before := renders.Load()
			resp, err := http.Get("http://" + addr + "/")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			var seen int64
			for line := range strings.Lines(string(body)) {
				_, _ = fmt.Sscanf(line, "renders %d", &seen)
			}
			if resp.StatusCode != http.StatusOK || seen <= before {
				t.Errorf("status %d, render %d, want one after %d", resp.StatusCode, seen, before)
			}
		})
	}
	wg.Wait()
	if n := renders.Load(); n > 100 {
		t.Errorf("%d renders for 200 requests at a time", n)
	}
}

func TestMetricsFormats(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "x", Help: "x"}))
	addr := serve(t, Config{Handler: Metrics(registry)})
	for accept, want := range map[string]string{
		"": "text/plain", "application/openmetrics-text; version=1.0.0": "text/plain",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "application/vnd.google.protobuf",
		strings.Repeat("x", 2000): "text/plain",
	} {
		req, _ := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("Accept %.40q: content type %q, want %q", accept, got, want)
		}
	}
}

// A render that hangs or panics is no fault of the next request.
func TestMetricsFaults(t *testing.T) {
	var mode atomic.Int32
	s := shareRenders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mode.Load() == 1 {
			panic("collector")
		}
		_, _ = io.WriteString(w, "fine "+r.Header.Get("Accept"))
	}))
	addr := serve(t, Config{Handler: s})
	mode.Store(1)
	if status, _ := probe(t, addr, ""); status != http.StatusInternalServerError {
		t.Errorf("status %d after a panic, want 500", status)
	}
	mode.Store(0)
	if status, _ := probe(t, addr, ""); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	<-s.turn // as if a render hung
	start := time.Now()
	if status, _ := probe(t, addr, ""); status != http.StatusServiceUnavailable || time.Since(start) > 4*time.Second {
		t.Errorf("status %d after %v while a render hangs, want 503 after 2 s", status, time.Since(start))
	}
	for i := range maxFormats - 1 {
		s.join(fmt.Sprint(i))
	}
	if s.join("one more") != nil {
		t.Error("the number of waiting renders is not bounded")
	}
	s.turn <- struct{}{}
}
