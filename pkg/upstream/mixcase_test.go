package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// wireName packs a name without changing its case.
func wireName(text string) []byte {
	b := make([]byte, 300)
	n, err := dns.PackDomainName(text, b, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return b[:n]
}

// spellings is what a server was asked.
type spellings struct {
	mu   sync.Mutex
	list []string
}

func (s *spellings) note(q *dns.Msg) {
	s.mu.Lock()
	s.list = append(s.list, q.Question[0].Name)
	s.mu.Unlock()
}

// count returns how many questions there were.
func (s *spellings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// distinct returns how many spellings there were from the nth question on.
func (s *spellings) distinct(from int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, name := range s.list[from:] {
		seen[name] = true
	}
	return len(seen)
}

const longName = "www.a-name-with-many-letters.example."

// textReply answers with a record whose owner is written in full, as small
// servers do.
func textReply(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 5},
		Txt: []string{"for", q.Question[0].Name},
	}}
	return m
}

// names is an owner that keeps the names in an answer.
type names struct {
	quiet
	done chan string
}

func (o *names) Done(_ Sink, r *Result) {
	m := new(dns.Msg)
	switch {
	case r.Reply == nil:
		o.done <- r.Err.Error()
	case m.Unpack(r.Reply.Msg) != nil:
		o.done <- "unreadable"
	default:
		text := dns.RcodeToString[m.Rcode] + " " + m.Question[0].Name
		for _, rr := range m.Answer {
			text += " " + rr.Header().Name
		}
		o.done <- text
	}
}

func (s *Set) askNames(t *testing.T, name string) string {
	t.Helper()
	o := &names{done: make(chan string, 2)}
	q := Question{Name: wireName(name), Type: wire.TypeTXT, Class: wire.ClassIN}
	s.Send(s.Table().Lookup([]byte(dnsname.MustParse(name)), q.Type).Group, &q, 0, o)
	s.Flush()
	select {
	case text := <-o.done:
		return text
	case <-time.After(hang):
		t.Fatal("the exchange does not end")
		return ""
	}
}

// TestMixedQuestions: the server sees a different spelling each time, the owner always its
// own.
func TestMixedQuestions(t *testing.T) {
	var seen spellings
	srv := scripted(t, func(q *dns.Msg) [][]byte {
		seen.note(q)
		return [][]byte{packed(textReply(q))}
	})
	s, _ := running(t, Config{Routes: all(srv), MixCase: true})
	const own = "wWw.a-name-with-many-letters.Example."
	for range 20 {
		if got, want := s.askNames(t, own), "NOERROR "+own+" "+own; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if n := seen.distinct(0); n < 19 {
		t.Errorf("20 questions in %d spellings", n)
	}
	if st := s.Stats(); st.WrongReplies != 0 || st.Servers[0].Miscased != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestMiscasedReplies: a reply in another case is ignored. The repeated question has a new
// spelling, which a forger would have to guess again.
func TestMiscasedReplies(t *testing.T) {
	var asked sync.Map
	srv := scripted(t, func(q *dns.Msg) [][]byte {
		lower := strings.ToLower(q.Question[0].Name)
		if _, again := asked.LoadOrStore(lower, true); again {
			return [][]byte{packed(textReply(q))}
		}
		forged := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		forged.Question[0].Name = lower
		return [][]byte{packed(forged), packed(textReply(q))}
	})
	s, _ := running(t, Config{Routes: all(srv), MixCase: true})
	for i := range 20 {
		name := fmt.Sprintf("n%d.%s", i, longName)
		if got, want := s.askNames(t, name), "NOERROR "+name+" "+name; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if st := s.Stats(); st.WrongReplies < 20 || st.Servers[0].Miscased != 20 {
		t.Errorf("%d wrong replies, %d of them for their case; want 20 and late ones", st.WrongReplies, st.Servers[0].Miscased)
	}
}

// TestLowerCasingServer: a server that answers in lower case is recognized at the first
// question, without waiting for a timeout, and then asked in the clients' spelling.
func TestLowerCasingServer(t *testing.T) {
	var seen spellings
	srv := scripted(t, func(q *dns.Msg) [][]byte {
		seen.note(q)
		q.Question[0].Name = strings.ToLower(q.Question[0].Name)
		return [][]byte{packed(textReply(q))}
	})
	s, _ := running(t, Config{Routes: all(srv), MixCase: true})
	for range 10 {
		if got, want := s.askNames(t, longName), "NOERROR "+longName+" "+longName; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if n := seen.count(); n != 10+2 || seen.distinct(2) != 1 {
		t.Errorf("%d questions, the later ones in %d spellings", n, seen.distinct(2))
	}
	if st := s.Stats(); st.Servers[0].Miscased != 2 || st.Servers[0].Down {
		t.Errorf("stats %+v", st)
	}
}

// TestNoMixing: without the option, and in questions that only measure or find
// loops, names go out as they are.
func TestNoMixing(t *testing.T) {
	var seen spellings
	srv := scripted(t, func(q *dns.Msg) [][]byte {
		seen.note(q)
		return [][]byte{packed(textReply(q))}
	})
	s, _ := running(t, Config{Routes: all(srv)})
	for range 5 {
		s.askNames(t, longName)
	}
	if n := seen.distinct(0); n != 1 {
		t.Errorf("%d spellings without the option", n)
	}
	if err := s.Reload(Config{Routes: all(srv), MixCase: true, DetectLoops: true, NewSink: func() Sink { return noSink{} }}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		seen.mu.Lock()
		last := seen.list[len(seen.list)-1]
		seen.mu.Unlock()
		if last != longName {
			if last != strings.ToLower(last) {
				t.Errorf("the question to find loops is %q", last)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("no question to find loops")
		}
	}
}
