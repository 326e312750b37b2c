package dnsmasq

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Steps:
//
//	ask NAME TYPE [word]...   see [query]; the line ends with the number of
//	                          questions that the servers saw for it
//	burst N NAME TYPE [word]  N names or types (% is the number) at a time, and what
//	                          came of them
//	spellings NAME,... TYPE   the same at a time in several spellings
//	pipeline NAME...          A questions on one TCP connection, and the order
//	                          of the answers
//	stream N NAME             N questions after another on one TCP connection
//	idle N                    N idle TCP connections, and how many of them are
//	                          served a question each
//	seen                      the questions that the servers saw at the step before
//	ids                       how many ids these had
//	ports                     whether they came from $PORT to $LAST
//	log EXPRESSION            new lines of the log that match
//	run WORD...               starts the program anew with a bad command line:
//	                          its exit code and first message
//	print NAME                a file in $DIR
//	exit                      waits for the program's end: its exit code
//	wait TIME, phase N, down N, back N, signal NAME, write NAME: TEXT,
//	remove NAME               (a file)
func (s *side) step(line string, i int) (string, error) {
	verb, rest, _ := strings.Cut(line, " ")
	if s.proc == nil && verb != "run" {
		if err := s.launch(); err != nil {
			return "", err
		}
	}
	switch verb {
	case "ask", "burst", "spellings":
		return s.askStep(verb, rest, i)
	case "pipeline":
		return s.pipeline(strings.Fields(rest)), nil
	case "stream":
		count, name, _ := strings.Cut(rest, " ")
		return s.stream(atoi(count), name)
	case "idle":
		return s.idle(atoi(rest)), nil
	case "seen":
		var list []string
		for _, q := range s.last {
			list = append(list, q.text())
		}
		slices.Sort(list)
		return "seen " + strings.Join(list, ", "), nil
	case "ids":
		return s.ids(), nil
	case "ports":
		return s.portStep(), nil
	case "log":
		return s.logStep(rest)
	case "run":
		return s.run(rest)
	case "wait":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return "", err
	case "phase":
		s.outside.phase.Store(int32(atoi(rest)))
		return "", nil
	case "down":
		s.outside.shut(atoi(rest))
		return "", nil
	case "back":
		return "", s.outside.open(atoi(rest))
	case "signal":
		return "", s.signal(rest)
	case "write":
		return "", s.write(rest)
	case "remove":
		return "", os.Remove(filepath.Join(s.dir, rest))
	case "exit":
		select {
		case <-s.proc.done:
			return fmt.Sprintf("exit %d", s.proc.cmd.ProcessState.ExitCode()), nil
		case <-time.After(10 * time.Second):
			return "it runs", nil
		}
	case "print":
		text, err := os.ReadFile(filepath.Join(s.dir, rest))
		return "file " + strings.ReplaceAll(strings.TrimSpace(string(text)), strconv.Itoa(s.proc.cmd.Process.Pid), "PID"), err
	}
	return "", fmt.Errorf("what is the step %q?", line)
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *side) signal(name string) error {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "TERM": syscall.SIGTERM}
	if err := s.proc.cmd.Process.Signal(signals[name]); err != nil {
		return err
	}
	time.Sleep(700 * time.Millisecond) // nothing signals when it has been processed
	return nil
}

// patience returns how long to wait for an answer: only briefly if the row expects none.
func (s *side) patience(i int) time.Duration {
	switch {
	case len(s.want) == 0: // a new row
		return 6 * time.Second
	case i < len(s.want) && strings.Contains(s.want[i], "silence"):
		return 2 * time.Second
	}
	return 15 * time.Second
}

func (s *side) askStep(verb, rest string, i int) (string, error) {
	fields, names := strings.Fields(rest), 1
	if verb == "burst" {
		names, fields = atoi(fields[0]), fields[1:]
	}
	q, err := parseQuery(numbered(fields, 0))
	if err != nil {
		return "", err
	}
	spellings := []string{q.name}
	if verb == "spellings" {
		spellings = strings.Split(q.name, ",")
		names = len(spellings)
	}
	s.outside.take()
	stories := make([]string, names*q.copies())
	var group sync.WaitGroup
	for n := range stories {
		one := *q
		if other, err := parseQuery(numbered(fields, n/q.copies())); err == nil {
			one.typ = other.typ
		}
		one.name = strings.ReplaceAll(spellings[n/q.copies()%len(spellings)], "%", strconv.Itoa(n/q.copies()))
		group.Go(func() { stories[n] = s.ask(&one, s.patience(i)) })
		if verb == "spellings" && n == 0 { // the others join it
			s.outside.waitFirst()
		}
	}
	group.Wait()
	if q.has("late") {
		time.Sleep(300 * time.Millisecond)
	}
	s.last = s.outside.take()
	return s.shorten(tally(stories)) + " | up " + s.count(), nil
}

// numbered puts a number into the type of a query's words.
func numbered(fields []string, n int) []string {
	if len(fields) < 2 {
		return fields
	}
	fields = slices.Clone(fields)
	fields[1] = strings.ReplaceAll(fields[1], "%", strconv.Itoa(n))
	return fields
}

// tally returns each story with the number of its occurrences.
func tally(stories []string) string {
	if len(stories) == 1 {
		return stories[0]
	}
	counts := map[string]int{}
	for _, story := range stories {
		if len(stories) > 12 {
			story, _, _ = strings.Cut(story, " | ")
		}
		counts[story]++
	}
	var out []string
	for story, n := range counts {
		out = append(out, fmt.Sprintf("%dx %s", n, story))
	}
	slices.SortFunc(out, func(a, b string) int {
		_, a, _ = strings.Cut(a, " ")
		_, b, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	return strings.Join(out, "; ")
}

// count returns the number of questions that each server saw. Servers after the last one that
// saw a question are left out.
func (s *side) count() string {
	counts, highest := make([]string, servers), 1
	for n := range counts {
		udp, tcp := 0, 0
		for _, q := range s.last {
			if q.server == n+1 && q.tcp {
				tcp++
			} else if q.server == n+1 {
				udp++
			}
		}
		counts[n] = strconv.Itoa(udp)
		if tcp > 0 {
			counts[n] += fmt.Sprintf("+%dtcp", tcp)
		}
		if udp+tcp > 0 {
			highest = n + 1
		}
	}
	return strings.Join(counts[:highest], ",")
}

// ask sends a question from its own socket and returns the story of the answer.
func (s *side) ask(q *query, patience time.Duration) string {
	id := uint16(rand.Uint32())
	msg := q.message(id)
	network := "udp"
	if q.has("tcp") {
		network, msg = "tcp", framed(msg)
	}
	conn, err := net.Dial(network, s.self.String())
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	deadline := time.Now().Add(patience + time.Duration(q.int("resend", 0))*time.Second)
	if err := conn.SetDeadline(deadline); err != nil {
		return err.Error()
	}
	_, _ = conn.Write(msg) // then nothing comes back either
	stop := make(chan struct{})
	defer close(stop)
	for n := range q.int("resend", 0) {
		go func() {
			select {
			case <-time.After(time.Duration(n+1) * time.Second):
				_, _ = conn.Write(msg)
			case <-stop:
			}
		}()
	}
	if network == "tcp" {
		back, err := readStream(conn)
		if err != nil && !time.Now().Before(deadline) {
			return "silence"
		} else if err != nil {
			return "closed"
		}
		return q.story(msg[2:], back)
	}
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		if err != nil && time.Now().Before(deadline) {
			continue // an error that nothing listens there: go on waiting
		}
		if err != nil {
			return "silence"
		}
		if n >= 2 && (len(msg) < 2 || binary.BigEndian.Uint16(buf) == binary.BigEndian.Uint16(msg)) {
			return q.story(msg, buf[:n])
		}
	}
}

func (s *side) ids() string {
	ids := map[string]bool{}
	for _, q := range s.last {
		ids[string(q.msg[:2])] = true
	}
	return fmt.Sprintf("%d questions, %d ids", len(s.last), len(ids))
}

func (s *side) portStep() string {
	ports, all := s.ports(), map[uint16]bool{}
	for _, q := range s.last {
		if all[q.from.Port()] = true; int(q.from.Port()) < ports[0] || int(q.from.Port()) > ports[1] {
			return fmt.Sprintf("port %d", q.from.Port())
		}
	}
	if len(all) == 1 {
		return fmt.Sprintf("%d questions from one port", len(s.last))
	}
	return fmt.Sprintf("%d questions from ports in the range", len(s.last))
}

// logStep returns the new lines of the log that match, without their prefix.
func (s *side) logStep(expression string) (string, error) {
	match, err := regexp.Compile(expression)
	if err != nil {
		return "", err
	}
	time.Sleep(400 * time.Millisecond) // it may be on its way
	text := s.proc.log.String()
	if file, err := os.ReadFile(filepath.Join(s.dir, "log")); err == nil {
		text = string(file)
	}
	if s.shown > len(text) { // a new file
		s.shown = 0
	}
	var lines []string
	for line := range strings.Lines(text[s.shown:]) {
		_, line, ok := strings.Cut(strings.TrimRight(line, "\n"), "]: ")
		if line = s.shorten(line); ok && match.MatchString(line) {
			lines = append(lines, line)
		}
	}
	s.shown = len(text)
	return "log " + strings.Join(lines, " / "), nil
}

// run starts the program with a separate command line, with which it must end soon.
func (s *side) run(rest string) (string, error) {
	var args []string
	for _, word := range words(rest) {
		args = append(args, s.expand(word))
	}
	p, err := start(s.dir, s.path, args)
	if err != nil {
		return "", err
	}
	defer p.kill()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		return "it runs", nil
	}
	message := ""
	for line := range strings.Lines(p.log.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), s.name+": "); ok {
			message = text
			break
		}
	}
	return fmt.Sprintf("exit %d: %s", p.cmd.ProcessState.ExitCode(), s.shorten(message)), nil
}
