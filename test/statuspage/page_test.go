package statuspage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestMain builds kubedns and gives the tests a network of their own, in which there is
// nothing but the loopback interface.
func TestMain(m *testing.M) {
	os.Exit(addon.RunIsolated(m, func(dir string) error { return addon.Build(dir, nil, "kubedns") }, ""))
}

// evil is text that, without escaping, would become an element, a script or the end of an
// attribute.
const evil = `"><img src=x onerror=document.title=1><script>document.title=2</script>&lt;`

const objects = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, annotations: {note: '` + evil + `'}}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-abc, namespace: data, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-2, conditions: {ready: false}}
`

// program is a running kubedns.
type program struct {
	t          *testing.T
	dns, debug string // addresses
	config     string // its folder
}

// start runs kubedns with objects, a server that fails with a hostile reason, and one
// that does not answer.
func start(t *testing.T) *program {
	t.Helper()
	bin, dir := addon.Isolated(), t.TempDir()
	if bin == "" {
		bin = t.TempDir()
		if err := addon.Build(bin, nil, "kubedns"); err != nil {
			t.Fatal(err)
		}
	}
	failing := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		m := dnstest.Reply(q, dns.RcodeServerFailure)
		if opt := m.IsEdns0(); opt != nil {
			opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: 6, ExtraText: evil})
		}
		return [][]byte{dnstest.Pack(m)}
	})
	ports := addon.FreePorts(t, 3)
	p := &program{
		t: t, config: filepath.Join(dir, "config"),
		dns: fmt.Sprintf("127.0.0.1:%d", ports[0]), debug: fmt.Sprintf("127.0.0.1:%d", ports[2]),
	}
	if err := os.Mkdir(p.config, 0o700); err != nil {
		t.Fatal(err)
	}
	dnstest.Replace(t, filepath.Join(p.config, "stubDomains"), fmt.Sprintf(`{"corp.example": [%q], "lab.example": ["dns.lab.svc.cluster.local"]}`, failing.Addr))
	dnstest.Replace(t, filepath.Join(p.config, "upstreamNameservers"), fmt.Sprintf("[%q]", dnstest.NewSinkhole(t)))
	file := filepath.Join(dir, "objects.yaml")
	dnstest.Replace(t, file, objects)
	process := addon.Start(t, filepath.Join(bin, "kubedns"), "--objects="+file, "--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", ports[0]),
		fmt.Sprintf("--healthz-port=%d", ports[1]), "--debug-address="+p.debug, "--config-dir="+p.config, "--config-period=100ms")
	process.WaitURL(t, fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]), 30*time.Second)
	return p
}

// ask asks for a name and returns the rcode.
func (p *program) ask(name string) int {
	p.t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Id: dns.Id(), RecursionDesired: true}, Question: []dns.Question{{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET}}}
	m.SetEdns0(1232, false)
	reply, _, err := (&dns.Client{Timeout: 20 * time.Second}).Exchange(m, p.dns)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return reply.Rcode
}

// upset causes what an operator looks for: failed answers and a rejected configuration.
func (p *program) upset() {
	p.t.Helper()
	for _, name := range []string{`\"><img\032src=x\032onerror=document.title=1>.corp.example.`, "b.lab.example.", "b.lab.example.", "c.example."} {
		if rcode := p.ask(name); rcode != dns.RcodeServerFailure {
			p.t.Errorf("%s: %s, want SERVFAIL", name, dns.RcodeToString[rcode])
		}
	}
	dnstest.Replace(p.t, filepath.Join(p.config, "federations"), evil)
}

// mustContain checks that the text of what selector finds has all texts.
func mustContain(t *testing.T, b *browser, selector string, texts ...string) {
	t.Helper()
	got := b.text(selector)
	for _, want := range texts {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %q:\n%s", selector, want, got)
		}
	}
}

func TestStatusPage(t *testing.T) {
	p := start(t)
	b := openBrowser(t)
	b.width(1200)
	base := "http://" + p.debug
	b.open(base + "/")
	b.during(func() { b.eval(`document.querySelector('a[href=status]').click()`, nil) })
	var address string
	if b.eval("location.href", &address); address != base+"/status" {
		t.Errorf("the link of / leads to %s", address)
	}
	mustContain(t, b, "header", "kubedns status", "ready", "version ")
	mustContain(t, b, "section[aria-labelledby=failures]", "No query was answered with SERVFAIL or REFUSED")
	p.upset()
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(b.text("header"), "configuration rejected") && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		b.open(base + "/status")
	}
	mustContain(t, b, "header", "ready", "configuration rejected")
	mustContain(t, b, "section[aria-labelledby=sync]", "services\tconnected", "endpointslices.discovery.k8s.io\tconnected", "Services\t2", "Endpoints\t")
	mustContain(t, b, "section[aria-labelledby=configuration]", "the files in "+p.config, "The newest content is rejected", evil[:10],
		"corp.example\t127.0.0.1:", "lab.example\tno server", "dns.lab.svc.cluster.local: no such Service or endpoint", "all other names\t127.0.0.1:")
	mustContain(t, b, "section[aria-labelledby=servers]", "127.0.0.1:", "up\t")
	mustContain(t, b, "section[aria-labelledby=failures]", "SERVFAIL", "127.0.0.1", `onerror`, evil, "\t2\tb.lab.example.", "\t1\tc.example.")
	mustContain(t, b, "section[aria-labelledby=messages]", "ERROR", "configuration rejected", evil[:10])

	t.Run("search", func(t *testing.T) { testSearch(t, b, base) })
	t.Run("hostile", func(t *testing.T) { testHostile(t, b, base) })
	t.Run("alone", func(t *testing.T) { testAlone(t, b, base) })
	b.open(base + "/status?name=db-2.db.data")
	t.Run("contrast", func(t *testing.T) { testContrast(t, b) })
	t.Run("accessible", func(t *testing.T) { testAccessible(t, b) })
	t.Run("sizes", func(t *testing.T) { testSizes(t, b) })
}

// testSearch uses the box as a person does.
func testSearch(t *testing.T, b *browser, base string) {
	t.Helper()
	b.open(base + "/status")
	b.eval(`document.getElementById('f-name').focus()`, nil)
	b.during(func() { b.types("db-2.db.data") })
	mustContain(t, b, "[role=status]", "db-2.db.data.svc.cluster.local. A: NXDOMAIN",
		"endpoint 10.1.0.2 (host name db-2) in EndpointSlice db-abc: not ready", "db-0.db.data.svc.cluster.local.")
	var query string
	if b.eval("location.search", &query); query != "?name=db-2.db.data&type=A&namespace=" {
		t.Errorf("the form asks %s", query)
	}
	b.open(base + "/status?name=http.web&namespace=default&type=SRV")
	var kept []string
	b.eval(`['f-name', 'f-type', 'f-namespace'].map(id => document.getElementById(id).value)`, &kept)
	if want := []string{"http.web", "SRV", "default"}; !slices.Equal(kept, want) {
		t.Errorf("the form keeps %q, want %q", kept, want)
	}
	b.open(base + "/status?name=a.corp.example.")
	mustContain(t, b, "[role=status]", "a.corp.example. A: SERVFAIL", "the stub domain corp.example", "127.0.0.1:", evil)
}

// testHostile: whatever a parameter contains, the page has the same elements and shows the
// parameter as text.
func testHostile(t *testing.T, b *browser, base string) {
	t.Helper()
	const elements = `[...document.querySelectorAll('form *, [role=alert], [role=alert] *')].map(e => e.tagName + [...e.attributes].map(a => a.name))`
	b.open(base + "/status?name=a..b&type=X&namespace=x")
	var want, got []string
	b.eval(elements, &want)
	for _, parameter := range []string{"name", "type", "namespace"} {
		values := url.Values{"name": {"a..b"}, "type": {"X"}, "namespace": {"x"}}
		values.Set(parameter, evil+"\u202e\x00")
		time.Sleep(250 * time.Millisecond) // 5 explanations a second
		b.open(base + "/status?" + values.Encode())
		if b.eval(elements, &got); !slices.Equal(got, want) {
			t.Errorf("%s: elements %q, want %q", parameter, got, want)
		}
		mustContain(t, b, "[role=alert]", "No explanation")
	}
	var title string
	if b.eval("document.title", &title); title != "kubedns status: cluster.local." {
		t.Errorf("title %q", title)
	}
	var foreign int
	if b.eval("document.querySelectorAll('script, img, iframe, object, [onerror], [style]').length", &foreign); foreign != 0 {
		t.Errorf("%d foreign elements", foreign)
	}
}

// testAlone: so far, the browser has sent requests only to this program, and has reported no
// error.
func testAlone(t *testing.T, b *browser, base string) {
	t.Helper()
	requests := b.seen("Network.requestWillBeSent")
	for _, m := range requests {
		var event struct{ Request struct{ URL string } }
		if err := json.Unmarshal(m.Params, &event); err != nil {
			t.Fatal(err)
		}
		if u := event.Request.URL; !strings.HasPrefix(u, base+"/") && !strings.HasPrefix(u, "data:,") {
			t.Errorf("the page asks for %s", u)
		}
	}
	if len(requests) < 5 {
		t.Errorf("only %d requests seen", len(requests))
	}
	for _, m := range b.seen("Log.entryAdded") {
		if text := string(m.Params); !strings.Contains(text, "status of 400") { // of testHostile
			t.Errorf("the browser complains: %s", text)
		}
	}
	for _, m := range b.seen("Runtime.exceptionThrown") {
		t.Errorf("%s", m.Params)
	}
	// The policy is one that a browser keeps.
	var done bool
	b.eval(`(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);
		document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:1/x'})); return !window.ran })()`, &done)
	if !done {
		t.Error("the policy lets a script run")
	}
	blocked := func() (n int) {
		for _, m := range b.seen("Log.entryAdded") {
			if strings.Contains(string(m.Params), "Content Security Policy") {
				n++
			}
		}
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); blocked() == 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if blocked() == 0 {
		t.Error("the policy blocks nothing")
	}
}

// contrasts returns the least contrast of any text to its background, by WCAG 2.2, and that
// text.
const contrasts = `(() => {
	const channels = c => (c.match(/[\d.]+/g) || []).map(Number);
	const linear = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
	const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = channels(getComputedStyle(e).backgroundColor);
			if (c.length == 3 || c[3] == 1) return c;
			if (c[3] != 0) throw new Error('half transparent: ' + e.outerHTML);
		}
		throw new Error('no background');
	};
	let least = {ratio: 99, text: '', texts: 0};
	const judge = (element, colour, text) => {
		const [a, b] = [light(channels(colour)), light(behind(element))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		least.texts++;
		if (ratio < least.ratio) Object.assign(least, {ratio, text: element.tagName + ': ' + text});
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (walk.currentNode.data.trim()) judge(e, getComputedStyle(e).color, walk.currentNode.data.slice(0, 60));
	}
	for (const e of document.querySelectorAll('input, select, button')) {
		judge(e, getComputedStyle(e).color, e.id);
		if (e.placeholder) judge(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
		// Of its border to what is around it, 3:1 is enough (SC 1.4.11); ask for the same.
		judge(e.parentElement, getComputedStyle(e).borderTopColor, 'border of ' + e.id);
	}
	return least;
})()`

func testContrast(t *testing.T, b *browser) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		var least struct {
			Ratio float64
			Text  string
			Texts int
		}
		b.eval(contrasts, &least)
		t.Logf("%s: the least contrast of %d texts is %.2f: %s", scheme, least.Texts, least.Ratio, least.Text)
		if least.Ratio < 4.5 || least.Texts < 100 {
			t.Errorf("%s: contrast %.2f of %d texts: %s", scheme, least.Ratio, least.Texts, least.Text)
		}
	}
	var background [2]string
	for i, scheme := range []string{"dark", "light"} {
		b.scheme(scheme)
		b.eval("getComputedStyle(document.body).backgroundColor", &background[i])
	}
	if background[0] == background[1] {
		t.Errorf("dark and light look alike: %q", background)
	}
}

// axNode is a node of the accessibility tree.
type axNode struct {
	Ignored    bool
	Role, Name struct{ Value any }
	Properties []struct {
		Name  string
		Value struct{ Value any }
	}
}

// testAccessible: the accessibility tree has the landmarks, and every element has a name.
func testAccessible(t *testing.T, b *browser) {
	t.Helper()
	var tree struct{ Nodes []axNode }
	b.do("Accessibility.getFullAXTree", nil, &tree)
	count, level := map[string]int{}, 0.0
	for _, n := range tree.Nodes {
		role, _ := n.Role.Value.(string)
		name, _ := n.Name.Value.(string)
		if n.Ignored {
			continue
		}
		count[role]++
		if name == "" && slices.Contains([]string{"textbox", "searchbox", "combobox", "button", "link", "table", "region", "navigation", "heading", "columnheader", "rowheader"}, role) {
			t.Errorf("a %s has no name", role)
		}
		for _, property := range n.Properties {
			if next, ok := property.Value.Value.(float64); ok && property.Name == "level" && role == "heading" {
				if next > level+1 {
					t.Errorf("the heading %q of level %v follows one of level %v", name, next, level)
				}
				level = next
			}
		}
	}
	for _, role := range []string{"banner", "main", "contentinfo", "navigation", "search", "searchbox", "status"} {
		if count[role] != 1 {
			t.Errorf("%d nodes of role %s, want 1", count[role], role)
		}
	}
	for role, least := range map[string]int{"table": 6, "columnheader": 20, "rowheader": 10, "region": 6, "heading": 8} {
		if count[role] < least {
			t.Errorf("%d nodes of role %s, want at least %d", count[role], role, least)
		}
	}
	var language string
	if b.eval("document.documentElement.lang", &language); language != "en" {
		t.Errorf("language %q", language)
	}
}

// testSizes: the page fits the screen of a telephone, and can be drawn.
func testSizes(t *testing.T, b *browser) {
	t.Helper()
	for _, tt := range []struct {
		name   string
		width  int
		scheme string
	}{{"phone", 360, "light"}, {"dark", 1200, "dark"}, {"light", 1200, "light"}} {
		b.width(tt.width)
		b.scheme(tt.scheme)
		var size struct{ Scroll, Client int }
		b.eval("({scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth})", &size)
		if size.Scroll > size.Client || size.Client != tt.width {
			t.Errorf("%s: %d wide on a screen of %d", tt.name, size.Scroll, size.Client)
		}
		picture, err := png.Decode(bytes.NewReader(b.picture(tt.name)))
		if err != nil {
			t.Fatal(err)
		}
		colours := map[any]bool{}
		for x := 0; x < picture.Bounds().Dx(); x += 3 {
			for y := 0; y < min(picture.Bounds().Dy(), 900); y += 3 {
				colours[picture.At(x, y)] = true
			}
		}
		if picture.Bounds().Dx() != tt.width || len(colours) < 10 {
			t.Errorf("%s: a picture of %v with %d colours", tt.name, picture.Bounds(), len(colours))
		}
	}
}
