package dnsmasq

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// side is one program in one row, with the servers behind it.
type side struct {
	path    string
	name    string // what its messages begin with
	self    netip.AddrPort
	dir     string
	outside *outside
	proc    *process
	row     *Row
	want    []string // the story that is told so far in the file
	last    []seen   // what the servers saw at the last step that asked
	shown   int      // octets of the log that a step has shown
}

// process is a running program whose output is kept.
type process struct {
	cmd  *exec.Cmd
	log  *logFile
	done chan struct{}
}

// logFile receives the output. It is a file and not a pipe, so that the output is complete
// when the program has ended, even if this test reads it late or children still hold it open.
type logFile struct{ file *os.File }

func newLogFile() (*logFile, error) {
	file, err := os.CreateTemp("", "kube-dns-output")
	if err != nil {
		return nil, err
	}
	name := file.Name()
	file.Close()
	if file, err = os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0); err != nil {
		return nil, err
	}
	return &logFile{file}, os.Remove(name)
}

// String returns what has been written so far.
func (l *logFile) String() string {
	info, err := l.file.Stat()
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(l.file, 0, info.Size()))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func start(dir, path string, args []string) (*process, error) {
	log, err := newLogFile()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(path, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log.file, log.file, dir
	p.cmd.Env = append(os.Environ(), "LC_ALL=C")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		log.file.Close()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.done)
	}()
	return p, nil
}

// kill ends the program and its children, and with it the log.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	<-p.done
	p.log.file.Close()
}

const (
	servers    = 3 // behind each program
	serverPort = 5300
	selfPort   = 5353
)

// newSide sets a row up for a program, which may use base and the addresses after it.
func newSide(row *Row, name, path, dir string, base netip.Addr) (*side, error) {
	s := &side{name: name, path: path, dir: dir, row: row, self: netip.AddrPortFrom(base.Next(), selfPort)}
	if s.name == "dnsmasq" {
		s.want = row.Dnsmasq
	} else {
		s.want = row.Ours
	}
	var rules []*rule
	for _, line := range row.Set {
		key, rest, _ := strings.Cut(line, " ")
		switch key {
		case "up":
			r, err := parseRule(rest)
			if err != nil {
				return nil, err
			}
			rules = append(rules, r)
		case "file":
			if err := s.write(rest); err != nil {
				return nil, err
			}
		}
	}
	var err error
	s.outside, err = newOutside(rules, servers, s.self.Addr().Next(), serverPort, s.self, s.name != "dnsmasq")
	return s, err
}

// write creates a file in the program's folder. text is "NAME: TEXT".
func (s *side) write(text string) error {
	name, content, ok := strings.Cut(text, ": ")
	if !ok {
		return fmt.Errorf("%q: no name", text)
	}
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	content = strings.ReplaceAll(content, `\n`, "\n")
	if err := os.WriteFile(path+".new", []byte(s.expand(content)+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// expand replaces the variables in text, which begin with $.
func (s *side) expand(text string) string {
	ports := s.ports()
	text = strings.ReplaceAll(text, "$PORT", strconv.Itoa(ports[0]))
	text = strings.ReplaceAll(text, "$LAST", strconv.Itoa(ports[1]))
	text = strings.ReplaceAll(text, "$DIR", s.dir)
	text = strings.ReplaceAll(text, "$SELF", optionText(s.self))
	text = strings.ReplaceAll(text, "$ADDR", s.self.Addr().String())
	at := s.self.Addr()
	for n := 1; n <= servers; n++ {
		at = at.Next()
		text = strings.ReplaceAll(text, fmt.Sprint("$IP", n), at.String())
		text = strings.ReplaceAll(text, fmt.Sprint("$", n), optionText(netip.AddrPortFrom(at, serverPort)))
	}
	return text
}

// ports returns the first and the last of a range of ports that only this program uses for
// its questions; the system gives none of them to other sockets.
func (s *side) ports() [2]int {
	first := 20000 + 22*int(s.self.Addr().As4()[1])
	if s.name != "dnsmasq" {
		first += 11
	}
	return [2]int{first, first + 10}
}

func optionText(a netip.AddrPort) string { return strings.ReplaceAll(a.String(), ":", "#") }

// shorten is the inverse of expand for messages. It also replaces everything else that
// differs from run to run.
func (s *side) shorten(text string) string {
	at := s.self.Addr()
	for n := 1; n <= servers; n++ {
		at = at.Next()
		text = strings.ReplaceAll(text, optionText(netip.AddrPortFrom(at, serverPort)), fmt.Sprint("$", n))
		text = strings.ReplaceAll(text, at.String(), fmt.Sprint("$IP", n))
	}
	text = strings.ReplaceAll(text, s.dir, "$DIR")
	text = strings.ReplaceAll(text, optionText(s.self), "$SELF")
	text = strings.ReplaceAll(text, s.self.Addr().String(), "$ADDR")
	text = clientPort.ReplaceAllString(text, "127.0.0.1/PORT")
	text = latency.ReplaceAllString(text, "latency Nms")
	// Each TCP connection, such as that of launch, moves dnsmasq's serial
	// numbers on by 100.
	text = serial.ReplaceAllString(text, "$1 127")
	return strings.TrimRight(text, " ")
}

var (
	clientPort = regexp.MustCompile(`127\.0\.0\.1/\d+`)
	latency    = regexp.MustCompile(`latency \d+ms`)
	serial     = regexp.MustCompile(`^10?(\d) 127`)
)

// options returns the program's command line.
func (s *side) options() []string {
	own := []string{"--conf-file=/dev/null", "--no-resolv", "--cache-size=1000", "--server=$1"}
	for _, line := range s.row.Set {
		key, rest, _ := strings.Cut(line, " ")
		switch key {
		case "opt":
			own = append(own, words(rest)...)
		case "bare":
			own = words(rest)
		}
	}
	var args []string
	for _, word := range []string{
		"-k", "--no-hosts", "--user=root", "--group=root", "--pid-file=", "--log-facility=-",
		"--listen-address=$ADDR", "--bind-interfaces", fmt.Sprintf("--port=%d", s.self.Port()),
	} {
		name, _, _ := strings.Cut(word, "=")
		if !slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(o, name+"=") }) {
			args = append(args, s.expand(word))
		}
	}
	for _, word := range own {
		args = append(args, s.expand(word))
	}
	return args
}

// launch starts the program and waits until it listens.
func (s *side) launch() error {
	var err error
	if s.proc, err = start(s.dir, s.path, s.options()); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s.listens() {
			return nil
		}
		select {
		case <-s.proc.done:
			return fmt.Errorf("%s ended:\n%s", s.name, s.proc.log.String())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not listen:\n%s", s.name, s.proc.log.String())
		}
	}
}

// listens reports whether the program's sockets exist. It sends a packet that is an answer,
// which the program ignores; if there is no socket, the system returns an error.
func (s *side) listens() bool {
	stream, err := net.Dial("tcp", s.self.String())
	if err != nil {
		return false
	}
	defer stream.Close()
	conn, err := net.Dial("udp", s.self.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	answer := (&query{typ: "A", words: map[string]string{"qr": ""}}).message(1)
	for range 2 {
		if _, err := conn.Write(answer); err != nil {
			return false
		}
	}
	return true
}

func (s *side) close() {
	if s.proc != nil {
		s.proc.kill()
	}
	s.outside.close()
}
