package explain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// fetched is the content of the page in the test.
type fetched struct {
	Status string `json:"status"`
}

func fetchFrom(t *testing.T, server string) (fetched, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var x fetched
	err := Fetch(ctx, server, "a running test", url.Values{"name": {"a b&c=\x1b[31m"}}, &x)
	return x, err
}

func TestFetch(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("name")
		fmt.Fprint(w, `{"status": "NOERROR"}`)
	}))
	defer srv.Close()
	for _, path := range []string{"", "/", "/explain", "/explain/"} {
		if x, err := fetchFrom(t, srv.URL+path); err != nil || x.Status != "NOERROR" || asked != "/explain a b&c=\x1b[31m" {
			t.Errorf("%q: %+v %v, asked for %q", path, x, err, asked)
		}
	}
	if x, err := fetchFrom(t, strings.TrimPrefix(srv.URL, "http://")); err != nil || x.Status != "NOERROR" {
		t.Errorf("without a scheme: %+v %v", x, err)
	}
	if _, err := fetchFrom(t, srv.URL+"/prefix"); err != nil || !strings.HasPrefix(asked, "/prefix/explain ") {
		t.Errorf("with a prefix: %v, asked for %q", err, asked)
	}
}

func TestFetchNonsense(t *testing.T) {
	for _, server := range []string{
		"ftp://127.0.0.1", "https://127.0.0.1", "http://", "://", "http://:80", "http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x",
		"http://127.0.0.1?x=y", "http://127.0.0.1#x", "http://u:p@127.0.0.1", "http://a b", "file:///etc/passwd", "http://\x1b[31m",
		"http://127.0.0.1:1", "\r\n", "http://127.0.0.1\r\nX: y",
	} {
		x, err := fetchFrom(t, server)
		if err == nil {
			t.Errorf("%q: %+v", server, x)
		} else if text := err.Error(); text != Line(text) || len(text) > 500 {
			t.Errorf("%q: %q", server, text)
		}
	}
}

// Each broken or hostile server leads to a short error of one line, in limited time and memory.
func TestFetchBrokenServers(t *testing.T) {
	endless := func(w io.Writer, what string) {
		for {
			if _, err := io.WriteString(w, what); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name, want string
		talk       func(conn net.Conn)
	}{
		{"closes at once", "not HTTP", func(net.Conn) {}},
		{"speaks something else", "not HTTP", func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-x\r\n") }},
		{"endless line", "not HTTP", func(c net.Conn) { endless(c, strings.Repeat("x", 1<<16)) }},
		{"endless header", "not HTTP", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\n"); endless(c, "X-Y: z\r\n") }},
		{"endless body", "larger than 4 MiB", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\n"); endless(c, strings.Repeat(" ", 1<<16)) }},
		{"endless chunks", "larger than 4 MiB", func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			endless(c, "10000\r\n"+strings.Repeat(" ", 1<<16)+"\r\n")
		}},
		{"breaks off", "breaks off", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{") }},
		{"no JSON", "not an explanation", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\n<html>") }},
		{"deep JSON", "not an explanation", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\n", strings.Repeat("[", 1<<20)) }},
		{"other JSON", "not an explanation", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\n", `{"status": {}}`) }},
		{"another program", "404 Not Found: nothing is explained there; want the URL of a running test", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 404 Not Found\r\n\r\n") }},
		{"redirection", "302 Found", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n") }},
		{"hostile complaint", `500 \x1b]0;x: \x1b[2Jno`, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 500 \x1b]0;x\r\n\r\n\x1b[2Jno") }},
		{"limit", "429 Too Many Requests: at most 5", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.0 429 Too Many Requests\r\n\r\nat most 5\n") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				tt.talk(c)
			}()
			_, err = fetchFrom(t, "http://"+l.Addr().String())
			l.Close()
			<-done
			if err == nil || !strings.Contains(err.Error(), tt.want) || err.Error() != Line(err.Error()) || len(err.Error()) > 500 {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestFetchEndsInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // no connection is accepted
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Fetch(ctx, l.Addr().String(), "a test", nil, new(fetched)) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "--timeout") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("does not end")
	}
}

// FuzzFetchedResponse sends arbitrary octets to the client as a response.
func FuzzFetchedResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\n{\"status\":\"NOERROR\"}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 500 \x1b\r\n\r\n\x00\xff"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, response []byte) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c, err := l.Accept(); err == nil {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = c.Write(response)
				c.Close()
			}
		}()
		_, err := fetchFrom(t, l.Addr().String())
		<-done
		if err != nil && (err.Error() != Line(err.Error()) || len(err.Error()) > 2000) {
			t.Errorf("%q", err)
		}
	})
}
