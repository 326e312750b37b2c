package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what happens into the scenario files")

// TestScenarios plays the files of testdata. A file has several scenarios, each
// begun by a line "== title". Lines that begin with ">" are what must happen;
// others are what is done:
//
//	servers a b           the servers, in order
//	tls a                 a is asked over TLS
//	replicas a b          a and b are the same server twice; "reserve c" leads to
//	                      any of them
//	strategy all          or strict-order, fastest (default)
//	timeout 4s
//	fast-dns-retry 1s     time to the first repetition
//	0x20                  random case
//	streams 8             questions over TCP at a time
//	auto a 20ms NOERROR   from now on a answers like this ("auto a silent")
//	0s ask www [do] [slow=1s] [client=3] [proxy] [measure=a] [loop=a]
//	5ms www a NOERROR     a's reply to the last open attempt of www; "a#0" means
//	                      attempt 0. Other replies: NXDOMAIN SERVFAIL REFUSED
//	                      FORMERR NOTIMP BADVERS tc ignored malformed miscased;
//	                      failures: refused unsent noconn lost, and dialling
//	                      for one that waits for a connection. "+opt" and
//	                      "-opt" say whether there is an OPT record.
//	1s                    time passes
//	2s many 60 10ms n%    60 questions, one each 10ms, of the names n0 n1 ...
//	2s show a             what is known of a
//	2s fault a            its last failure
//	3s broken a           a's handshake failed; open a, closed a: a connection
//	3s loop-send a 1      a probe is sent; loop-back a 1: it comes back
//
// What happens is "time question: action". "many" writes sums instead.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		parts := strings.SplitAfter(string(data), "\n== ")
		for i, part := range parts {
			last := strings.HasSuffix(part, "\n== ")
			body := strings.TrimSuffix(part, "== ")
			if i == 0 {
				out.WriteString(body)
			} else {
				title, rest, _ := strings.Cut(body, "\n")
				out.WriteString("== " + title + "\n")
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+title, func(t *testing.T) {
					got := play(t, rest)
					if got != rest && !*update {
						t.Errorf("%s", difference(rest, got))
					}
					out.WriteString(got)
				})
			}
			_ = last
		}
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			from, to := max(0, i-3), min(i+4, len(w), len(g))
			return fmt.Sprintf("after line %d\nwant:\n%s\ngot:\n%s", i, strings.Join(w[from:to], "\n"), strings.Join(g[from:to], "\n"))
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// stage is the world of one scenario.
type stage struct {
	t       *testing.T
	now     Time
	names   []string // of servers
	group   *Group
	cfg     Config
	auto    []automatic
	queries []*played
	pending []reply
	out     strings.Builder
	quiet   bool
	sent    []int // while quiet
	ends    map[string]int
}

type automatic struct {
	set   bool
	after time.Duration
	what  string // "" for silence
}

// played is a question.
type played struct {
	name    string
	q       Query
	sends   []Action
	current string // what a reply in hand says
	kept    string
}

// reply is on its way from a server.
type reply struct {
	at      Time
	p       *played
	attempt int
	what    string
}

func play(t *testing.T, text string) string {
	t.Helper()
	w := &stage{t: t, cfg: Config{Timeout: 4 * time.Second, Streams: &Streams{Max: 64}}, now: Time(time.Hour)}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		w.out.WriteString(line + "\n")
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if at, err := time.ParseDuration(fields[0]); err == nil {
			w.advance(Time(time.Hour).Add(at))
			w.do(fields[1:])
		} else {
			w.configure(fields)
		}
	}
	return w.out.String()
}

func (w *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *stage) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *stage) configure(f []string) {
	switch f[0] {
	case "servers":
		w.names = f[1:]
		var list []*Server
		for range w.names {
			list = append(list, new(Server))
		}
		w.group, w.auto = NewGroup(list, w.now, 1), make([]automatic, len(list))
	case "replicas", "reserve":
		for _, name := range f[1:] {
			s := w.group.Servers[w.index(name)]
			*s = s.Placed(map[string]Role{"replicas": Replica, "reserve": Reserve}[f[0]])
		}
		w.group = NewGroup(w.group.Servers, w.now, 1)
	case "tls":
		for _, name := range f[1:] {
			*w.group.Servers[w.index(name)] = NewSecure(0)
		}
	case "strategy":
		w.cfg.Strategy = map[string]Strategy{"fastest": Fastest, "strict-order": InOrder, "all": All}[f[1]]
	case "timeout":
		w.cfg.Timeout = w.duration(f[1])
	case "fast-dns-retry":
		w.cfg.FirstRetry = w.duration(f[1])
	case "0x20":
		w.cfg.MixCase = true
	case "streams":
		w.cfg.Streams.Max = w.number(f[1])
	case "auto":
		i := w.index(f[1])
		if f[2] == "silent" {
			w.auto[i] = automatic{}
		} else {
			w.auto[i] = automatic{true, w.duration(f[2]), strings.Join(f[3:], " ")}
		}
	default:
		w.t.Fatalf("unknown line %q", f)
	}
}

func (w *stage) index(server string) int {
	i := slices.Index(w.names, server)
	if i < 0 {
		w.t.Fatalf("no server %q", server)
	}
	return i
}

func (w *stage) do(f []string) {
	if len(f) == 0 {
		return
	}
	switch f[0] {
	case "ask":
		w.ask(f[1], f[2:])
	case "many":
		w.many(f[1:])
	case "show":
		w.show(f[1])
	case "fault":
		fault := w.group.Servers[w.index(f[1])].LastFault()
		w.say("%s: fault %s of %v ago, %d in all", f[1], faultNames[fault.Kind]+strings.Repeat(fmt.Sprint(" ", fault.Rcode), min(fault.Rcode, 1)),
			w.now.Since(fault.At), w.group.Servers[w.index(f[1])].Failures)
	case "broken":
		w.say("%s: not asked for %v", f[1], w.group.Servers[w.index(f[1])].HandshakeFailed(w.now))
	case "open", "closed":
		w.group.Servers[w.index(f[1])].Connected(f[0] == "open")
	case "loop-send":
		w.group.Servers[w.index(f[1])].ExpectLoop(w.now, Probe{15: byte(w.number(f[2]))})
	case "loop-back":
		mine, news := w.group.Servers[w.index(f[1])].LoopCameBack(w.now, Probe{15: byte(w.number(f[2]))})
		w.say("%s: its probe %v, news %v", f[1], mine, news)
	default:
		w.answer(f)
	}
}

// say writes what happens.
func (w *stage) say(format string, args ...any) {
	if !w.quiet {
		fmt.Fprintf(&w.out, "> %v %s\n", w.now.Since(Time(time.Hour)), fmt.Sprintf(format, args...))
	}
}

func (w *stage) ask(name string, options []string) {
	p := &played{name: name}
	start := Start{Config: &w.cfg, Group: w.group, Key: 1}
	for _, c := range strings.ToLower(name) {
		start.Key = start.Key*31 + uint64(c)
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "do":
			start.DO = true
		case "slow":
			start.SlowAfter = w.duration(value)
		case "client":
			start.Client = uint64(w.number(value))
		case "proxy":
			start.Proxy = true
		case "measure":
			start.Purpose, start.Only = Probing, w.index(value)
		case "loop":
			start.Purpose, start.Only = LoopProbing, w.index(value)
		default:
			w.t.Fatalf("unknown option %q", o)
		}
	}
	p.q.Reset(start)
	w.queries = append(w.queries, p)
	w.step(p, Event{Kind: Begin})
}

// many asks many questions and sums up what happened.
func (w *stage) many(f []string) {
	count, every := w.number(f[0]), w.duration(f[1])
	w.quiet, w.sent, w.ends = true, make([]int, len(w.names)), map[string]int{}
	for i := range count {
		w.ask(strings.ReplaceAll(f[2], "%", strconv.Itoa(i)), f[3:])
		w.advance(w.now.Add(every))
	}
	for slices.ContainsFunc(w.queries, func(p *played) bool { return !p.q.ended }) {
		w.advance(w.now.Add(10 * time.Millisecond))
	}
	w.quiet = false
	var parts []string
	for i, n := range w.sent {
		parts = append(parts, fmt.Sprintf("%s asked %d times", w.names[i], n))
	}
	var ends []string
	for end, n := range w.ends {
		ends = append(ends, fmt.Sprintf("%d %s", n, end))
	}
	slices.Sort(ends)
	w.say("%s; %s", strings.Join(parts, ", "), strings.Join(ends, ", "))
}

var standings = []string{"healthy", "failing", "doubtful", "down", "looping"}

func (w *stage) show(name string) {
	s := w.group.Servers[w.index(name)]
	text := standings[s.Standing()]
	if s.edns.plain(w.now) {
		text += ", without EDNS"
	}
	if !s.casing.mixes(w.now) {
		text += ", without 0x20"
	}
	if s.streams.pause != 0 && w.now < s.streams.until {
		text += ", without TCP"
	}
	if s.LoopDue(w.now) {
		text += ", loop probe due"
	}
	w.say("%s: %s", name, text)
}

// advance lets time pass.
func (w *stage) advance(to Time) {
	if to < w.now {
		w.t.Fatalf("time goes back to %v", to.Since(Time(time.Hour)))
	}
	for {
		next, second := to+1, Time(time.Duration(w.now).Truncate(time.Second)).Add(time.Second)
		next = min(next, second)
		for _, p := range w.queries {
			if due := p.q.Due(); due != 0 {
				next = min(next, due)
			}
		}
		for _, r := range w.pending {
			next = min(next, r.at)
		}
		if next > to {
			w.now = to
			return
		}
		w.now = max(next, w.now)
		if next == second {
			w.notices()
		}
		w.deliver()
		for _, p := range slices.Clone(w.queries) {
			if due := p.q.Due(); due != 0 && due <= w.now {
				w.step(p, Event{Kind: Tick})
			}
		}
		w.queries = slices.DeleteFunc(w.queries, func(p *played) bool { return p.q.ended })
	}
}

func (w *stage) deliver() {
	for i := 0; i < len(w.pending); {
		r := w.pending[i]
		if r.at > w.now {
			i++
			continue
		}
		w.pending = slices.Delete(w.pending, i, i+1)
		w.hand(r.p, r.attempt, r.what)
	}
}

var noticeTexts = [...]string{
	NoticeDown: "does not answer", NoticeUp: "answers again", NoticeCase: "changes case",
	NoticePlain: "does not take EDNS", NoticeNoStream: "has no TCP", NoticeLoopOver: "does not loop any more",
}

func (w *stage) notices() {
	if w.group == nil {
		return
	}
	for i, s := range w.group.Servers {
		for {
			n, ok := s.Notice(w.now)
			if !ok {
				break
			}
			w.say("log: %s %s, %d suppressed", w.names[i], noticeTexts[n.Kind], n.Suppressed)
		}
	}
}

// answer is an event as written: name, server, what.
func (w *stage) answer(f []string) {
	at := slices.IndexFunc(w.queries, func(p *played) bool { return p.name == f[0] && !p.q.ended })
	if at < 0 {
		w.say("%s: has ended", f[0])
		return
	}
	p := w.queries[at]
	server, which, exact := strings.Cut(f[1], "#")
	k := -1
	if exact {
		k = w.number(which)
	} else {
		for i, a := range p.sends {
			if a.Server == w.index(server) && p.q.attempts[i].open {
				k = i
			}
		}
	}
	if k < 0 {
		w.t.Fatalf("%v: nothing is open", f)
	}
	w.hand(p, k, strings.Join(f[2:], " "))
}

var rcodes = map[string]int{
	"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "YXDOMAIN": 6, "NOTAUTH": 9, "BADVERS": 16,
}

var failures = map[string]EventKind{
	"refused": Refused, "unsent": Unsent, "noconn": NotConnected, "lost": Lost, "miscased": Miscased,
	"dialling": Dialling,
}

var faultNames = [...]string{
	NoFault: "none", FaultSilent: "silent", FaultRcode: "rcode", FaultMalformed: "malformed", FaultRefused: "refused",
	FaultUnsent: "unsent", FaultNotConnected: "not connected", FaultLost: "lost", FaultHandshake: "handshake",
}

// hand gives an event to a question.
func (w *stage) hand(p *played, k int, what string) {
	if p.q.ended || !p.q.attempts[k].open {
		return
	}
	word, opt, _ := strings.Cut(what, " ")
	ev := Event{Kind: Replied, Attempt: k, OPT: p.sends[k].EDNS, Keepable: true}
	if kind, ok := failures[word]; ok {
		ev = Event{Kind: kind, Attempt: k}
	} else if code, ok := rcodes[word]; ok {
		ev.Outcome, ev.Rcode = OutcomeOf(code), code
		ev.OPT = ev.OPT && code != 1 && code != 4
	} else {
		switch word {
		case "tc":
			ev.Outcome = Truncated
		case "ignored":
			ev.Outcome = Ignored
		case "malformed":
			ev.Outcome = Malformed
		default:
			w.t.Fatalf("unknown reply %q", what)
		}
	}
	switch opt {
	case "+opt":
		ev.OPT = true
	case "-opt":
		ev.OPT = false
	}
	p.current = word + " from " + w.names[p.sends[k].Server]
	if word == "SERVFAIL" && !ev.OPT {
		p.current += " without OPT"
	}
	w.step(p, ev)
}

var endTexts = [...]string{EndIgnored: "ignored", EndTimeout: "timeout", EndUnreachable: "unreachable", EndMalformed: "malformed"}

// step makes a step and does what follows.
func (w *stage) step(p *played, ev Event) {
	for _, a := range p.q.Step(w.now, ev, nil) {
		switch a.Kind {
		case Send:
			p.sends = append(p.sends, a)
			w.send(p, a)
		case Reopen:
			w.say("%s: wait on", p.name)
		case Doubt:
			w.say("%s: doubt connection", p.name)
		case Keep:
			p.kept = p.current
		case Slow:
			w.say("%s: slow", p.name)
		case Measure:
			w.say("%s: measure %s", p.name, w.names[a.Server])
			w.ask(p.name, []string{"measure=" + w.names[a.Server]})
		case Finish:
			text := endTexts[a.End]
			switch a.End {
			case EndReply:
				text = p.current
			case EndKept:
				text = p.kept
			}
			if p.q.client() {
				w.say("%s: ends with %s", p.name, text)
				if w.quiet {
					w.ends[text]++
				}
			}
		}
	}
}

func (w *stage) send(p *played, a Action) {
	text := "ask " + w.names[a.Server]
	if a.Way == Whole {
		text += " over TCP"
	}
	if !a.EDNS {
		text += " without EDNS"
	}
	if a.Mixed {
		text += " in mixed case"
	}
	if a.Alone {
		text += " on a fresh connection"
	}
	w.say("%s: %s", p.name, text)
	if w.quiet {
		w.sent[a.Server]++
	}
	auto := w.auto[a.Server]
	if !auto.set {
		return
	}
	what := auto.what
	if rest, ok := strings.CutPrefix(what, "noedns "); ok { // "noedns FORMERR" or "noedns silent"
		what = "NOERROR"
		if a.EDNS {
			if what = rest; what == "silent" {
				return
			}
		}
	}
	if rest, ok := strings.CutPrefix(what, "tc "); ok { // "tc noconn", "tc NOERROR", "tc silent"
		what = "tc"
		if a.Way == Whole {
			if what = rest; what == "silent" {
				return
			}
		}
	}
	w.pending = append(w.pending, reply{w.now.Add(auto.after), p, a.Attempt, what})
}
