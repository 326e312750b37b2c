package policy

// replied goes on after a reply.
func (q *Query) replied(now Time, ev *Event, dst []Action) []Action {
	a := &q.attempts[ev.Attempt]
	s := q.server(a.server)
	q.noteReply(now, a, ev)
	if ev.Outcome == Ignored {
		return q.ignored(now, ev, dst)
	}
	q.close(a)
	switch outcome := ev.Outcome; {
	case outcome == Good:
		return q.finish(EndReply, dst)
	case !q.client():
		return dst
	case outcome == NotUnderstood && a.edns, q.refusesEDNS(now, a, ev):
		// RFC 6891 §7: it may be EDNS that the server does not like.
		a.misunderstood = true
		dst = q.keep(RankError, ev, dst)
		return q.send(now, a.server, false, dst)
	case outcome == Truncated && a.way == Usual:
		dst = q.keep(RankTruncated, ev, dst)
		return q.truncated(now, a, dst)
	case outcome == Truncated:
		// As much as there is: more than 64 KB.
		return q.finish(EndReply, dst)
	case outcome == Malformed:
		q.failure = EndMalformed
	default:
		dst = q.keep(RankError, ev, dst)
	}
	s.failing = true
	return q.advance(now, dst)
}

// noteReply learns from a reply about the server.
func (q *Query) noteReply(now Time, a *attempt, ev *Event) {
	s := q.server(a.server)
	isError := ev.Outcome == Malformed || ev.Outcome == ServerError || ev.Outcome == Declined || ev.Outcome == NotUnderstood && !a.edns
	rtt := now.Since(a.sent)
	if a.way == Whole {
		rtt = -1
		s.streams.heard()
	}
	wasMute := s.mute
	if a.cold {
		rtt = -1
	}
	fault := Fault{}
	if isError {
		fault = faultOf(now, ev)
	}
	s.heard(now, rtt, fault)
	if q.start.Purpose == LoopProbing {
		s.loopAnswered(now)
		return
	}
	switch {
	case a.edns && ev.Outcome == NotUnderstood:
		// One without EDNS says so without an OPT record (RFC 6891 §7).
		if !ev.OPT && !s.edns.recent(now) && s.edns.failed(now, q.start.Key) {
			s.notices.addNotice(NoticePlain)
		}
	case a.edns && !isError:
		s.edns.taken(now)
	case !a.edns && !isError && ev.Outcome != NotUnderstood &&
		(q.failedWithEDNS(now, a) || wasMute && !q.client() && !s.edns.recent(now)):
		// A probe without EDNS finds a server that questions with EDNS did not find.
		if s.edns.failed(now, q.start.Key) {
			s.notices.addNotice(NoticePlain)
		}
	}
	if a.mixed && ev.Outcome == Good {
		s.casing.kept()
	}
}

// refusesEDNS reports whether a reply to a looks like that of a server or middlebox
// that refuses every question with an OPT record: it has none itself, and the
// server has not taken EDNS lately.
func (q *Query) refusesEDNS(now Time, a *attempt, ev *Event) bool {
	return ev.Outcome == Declined && a.edns && !ev.OPT && !q.server(a.server).edns.recent(now)
}

// failedWithEDNS reports whether the server of plain, an attempt without EDNS that
// is answered now, refused this question with EDNS before, or left it without an
// answer for clearly longer than it needed for plain. The latter is no sign where
// the name is slow, since then both take long, or where the server took EDNS
// lately.
func (q *Query) failedWithEDNS(now Time, plain *attempt) bool {
	for k := range q.attempts[:q.n] {
		a := &q.attempts[k]
		if a.server != plain.server || !a.edns || a.way != Usual {
			continue
		}
		if a.misunderstood {
			return true
		}
		quick := 2*now.Since(plain.sent) < plain.sent.Since(a.sent)
		if a.open && !a.heard && quick && !q.server(a.server).edns.recent(now) {
			return true
		}
	}
	return false
}

// keep remembers a reply that is not good: the first of its rank, but one with an
// OPT record, which may say why (RFC 8914), replaces one without.
func (q *Query) keep(rank Rank, ev *Event, dst []Action) []Action {
	explains := rank == q.best && ev.OPT && !q.bestOPT
	if !ev.Keepable || !rank.Better(q.best) && !explains {
		return dst
	}
	q.best, q.bestOPT = rank, ev.OPT
	if rank == RankIgnored {
		return dst // it is not passed on
	}
	return append(dst, Action{Kind: Keep, Attempt: ev.Attempt})
}

// truncated asks again over TCP, or another server if there is no TCP.
func (q *Query) truncated(now Time, a *attempt, dst []Action) []Action {
	if q.awaiting {
		return dst
	}
	if !q.server(a.server).streams.missing(now) {
		if dst, q.awaiting = q.sendWhole(now, a.server, a.edns, false, dst); q.awaiting {
			return dst
		}
	}
	return q.advance(now, dst)
}

// ignored waits for a better reply than one that is to be ignored: a second one
// to the same attempt, or another server's.
func (q *Query) ignored(now Time, ev *Event, dst []Action) []Action {
	a := &q.attempts[ev.Attempt]
	first := !a.heard
	a.heard = true
	dst = q.keep(RankIgnored, ev, dst)
	if !q.client() {
		q.close(a)
		return dst
	}
	dst = append(dst, Action{Kind: Reopen, Attempt: ev.Attempt})
	if first {
		dst = q.advance(now, dst)
		q.deadline = min(q.deadline, now.Add(graceForBetter))
	}
	return dst
}

// miscased goes on after a reply that is right except for the case of its name.
// It may be forged, so it is waited past; the question is asked once more at
// once, because it may also be from a server that always answers in lower case.
// Such a server is soon recognized and asked without mixing.
func (q *Query) miscased(now Time, k int, dst []Action) []Action {
	a := &q.attempts[k]
	s := q.server(a.server)
	if s.casing.changed(now) {
		s.notices.addNotice(NoticeCase)
	}
	dst = append(dst, Action{Kind: Reopen, Attempt: k})
	if a.repeated {
		return dst
	}
	a.repeated = true
	return q.send(now, a.server, a.edns, dst)
}

// disconnected goes on after a connection ended. Unless it never began, the
// question is asked once more on a fresh one: servers close idle connections at
// any time (RFC 7766 §6.2.4).
//
// That TCP fails says nothing about UDP, so the server does not count as silent.
func (q *Query) disconnected(now Time, ev Event, dst []Action) []Action {
	a := &q.attempts[ev.Attempt]
	s := q.server(a.server)
	q.close(a)
	switch {
	case ev.Kind != Lost || a.repeated:
	case s.secure.on && s.paused(now): // it failed in a row
	case a.way == Usual && q.n < maxUsual:
		dst = q.send(now, a.server, a.edns, dst)
		dst[len(dst)-1].Alone, q.attempts[q.n-1].repeated = true, true
		return dst
	case a.way == Whole:
		var ok bool
		if dst, ok = q.sendWhole(now, a.server, a.edns, true, dst); ok {
			return dst
		}
	}
	if fault := s.faultOfConnection(ev.Kind); a.way == Usual { // a connection that carries every question
		s.refused(now, a.sent, fault)
	} else {
		s.fails(now, fault)
		if ev.Kind == NotConnected && s.streams.unconnected(now) || ev.Kind == Lost && s.streams.silent(now) {
			s.notices.addNotice(NoticeNoStream)
		}
	}
	q.refusals++
	q.failure = EndUnreachable
	q.awaiting = false
	return q.advance(now, dst)
}
