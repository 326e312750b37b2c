package statuspage

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is the longest time for one command. A machine that is busy takes seconds.
const patience = 60 * time.Second

// browser is a page in a headless Chromium, controlled by the DevTools protocol over two
// pipes.
type browser struct {
	t       *testing.T
	out     io.Writer
	session string

	mu      sync.Mutex
	id      int
	waiting map[int]chan message
	events  []message // all so far
	news    chan struct{}
}

// message is a command's outcome or an event.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openBrowser starts Chromium with an empty page.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is missing: ./hack/apt.sh chromium=chromium")
	}
	in, out := pipe(t), pipe(t)
	home := t.TempDir()
	cmd := exec.Command(path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
		"--hide-scrollbars", "--user-data-dir="+filepath.Join(home, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.ExtraFiles = []*os.File{in[0], out[1]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(home, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in[0].Close()
	out[1].Close()
	b := &browser{t: t, out: in[1], waiting: map[int]chan message{}, news: make(chan struct{}, 1)}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it and its children
		_ = cmd.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("chromium: %s", text[max(0, len(text)-2000):])
		}
		// The children of a killed browser may still write.
		for range 50 {
			if os.RemoveAll(home) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	go b.read(out[0])
	var target struct{ TargetID, SessionID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility"} {
		b.do(domain+".enable", nil, nil)
	}
	return b
}

// pipe returns the two ends of a pipe.
func pipe(t *testing.T) [2]*os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return [2]*os.File{r, w}
}

// read reads messages, which end with a zero octet, until the browser ends.
func (b *browser) read(from io.Reader) {
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if ch := b.waiting[m.ID]; m.ID != 0 && ch != nil {
			ch <- m
			delete(b.waiting, m.ID)
		} else {
			b.events = append(b.events, m)
			select {
			case b.news <- struct{}{}:
			default:
			}
		}
		b.mu.Unlock()
	}
}

// do runs a command, and reads its result into result unless that is nil.
func (b *browser) do(method string, params map[string]any, result any) {
	b.t.Helper()
	b.mu.Lock()
	b.id++
	ch := make(chan message, 1)
	b.waiting[b.id] = ch
	command := map[string]any{"id": b.id, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	b.mu.Unlock()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m := <-ch:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer", method)
	}
}

// seen returns the events of a method so far.
func (b *browser) seen(method string) (events []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.events {
		if m.Method == method {
			events = append(events, m)
		}
	}
	return events
}

// during runs act and waits for the page that it loads.
func (b *browser) during(act func()) {
	b.t.Helper()
	before := len(b.seen("Page.loadEventFired"))
	act()
	limit := time.After(patience)
	for len(b.seen("Page.loadEventFired")) == before {
		select {
		case <-b.news:
		case <-limit:
			b.t.Fatal("the page does not load")
		}
	}
}

// open loads a page.
func (b *browser) open(url string) {
	b.t.Helper()
	b.during(func() { b.do("Page.navigate", map[string]any{"url": url}, nil) })
}

// eval runs a script in the page, to which the page's content security policy does not apply,
// and reads its value into result.
func (b *browser) eval(script string, result any) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.do("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &out)
	if len(out.ExceptionDetails) > 0 {
		b.t.Fatalf("%s: %s", script, out.ExceptionDetails)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %s: %v", script, out.Result.Value, err)
	}
}

// text returns the text of what a selector finds.
func (b *browser) text(selector string) (text string) {
	b.t.Helper()
	b.eval(fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText).join('\\n')", selector), &text)
	return text
}

// types types text into the focused element, and then Enter.
func (b *browser) types(text string) {
	b.t.Helper()
	b.do("Input.insertText", map[string]any{"text": text}, nil)
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.do("Input.dispatchKeyEvent", map[string]any{
			"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r",
		}, nil)
	}
}

// width sets the size of the window.
func (b *browser) width(width int) {
	b.t.Helper()
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// scheme asks for the light or the dark colours.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": name}}}, nil)
}

// picture returns a picture of the whole page. If $STATUS_PICTURES names a folder, it is
// written there, too.
func (b *browser) picture(name string) []byte {
	b.t.Helper()
	var out struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &out)
	data, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil || !strings.HasPrefix(string(data), "\x89PNG") {
		b.t.Fatalf("no picture: %v", err)
	}
	if dir := os.Getenv("STATUS_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return data
}
