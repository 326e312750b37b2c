package policy

import "time"

// NoticeKind is something that operators should know about a server.
type NoticeKind uint8

const (
	// NoticeDown says that the server does not answer.
	NoticeDown NoticeKind = iota
	// NoticeUp says that the server answers again.
	NoticeUp
	// NoticeCase says that the server changes the case of names.
	NoticeCase
	// NoticePlain says that the server does not support EDNS.
	NoticePlain
	// NoticeNoStream says that the server truncates answers and does not answer over TCP.
	NoticeNoStream
	// NoticeLoopOver says that the server does not send questions back to us any more.
	NoticeLoopOver
	noticeKinds
)

// Notice is one line for the log. Suppressed is how many changes between up and down have
// gone unreported since the last report.
type Notice struct {
	Kind       NoticeKind
	Suppressed uint64
}

const (
	// noticeLasting is how long a server has to stay up or down before that is reported.
	noticeLasting = 5 * time.Second
	// noticeBurst lines may be written at once, and one more per noticeEvery.
	noticeBurst = 4
	noticeEvery = 20 * time.Minute
)

// notices decides which changes of a server's state are worth a line in the log.
type notices struct {
	waiting   [noticeKinds]bool // that have no rule of their own
	any       bool
	saidDown  bool
	changedAt Time
	changes   uint64 // since the last line
	spent     int    // lines not yet given back
	refillAt  Time
}

func (n *notices) addNotice(k NoticeKind) { n.waiting[k], n.any = true, true }

// change records that the server came up or went down.
func (n *notices) change(now Time) {
	n.changedAt = now
	n.changes++
}

// Notice returns the next line to log about the server, if there is one. Call it about once a
// second.
func (s *Server) Notice(now Time) (Notice, bool) {
	n := &s.notices
	if n.any {
		for k := range n.waiting {
			if n.waiting[k] {
				n.waiting[k] = false
				return Notice{Kind: NoticeKind(k)}, true
			}
		}
		n.any = false
	}
	if s.down == n.saidDown || now.Since(n.changedAt) < noticeLasting {
		return Notice{}, false
	}
	for n.spent > 0 && now >= n.refillAt {
		n.spent--
		n.refillAt = n.refillAt.Add(noticeEvery)
	}
	if n.spent >= noticeBurst {
		return Notice{}, false
	}
	if n.spent == 0 {
		n.refillAt = now.Add(noticeEvery)
	}
	n.spent++
	n.saidDown = s.down
	out := Notice{Kind: NoticeUp, Suppressed: n.changes - 1}
	if s.down {
		out.Kind = NoticeDown
	}
	n.changes = 0
	return out, true
}
