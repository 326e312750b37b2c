package policy

// replied handles a reply.
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
		// RFC 6891 §7: the server may object to EDNS.
		a.misunderstood = true
		dst = q.keep(RankError, ev, dst)
		return q.send(now, a.server, false, dst)
	case outcome == Truncated:
		dst = q.keep(RankTruncated, ev, dst)
		return q.truncated(now, a, dst)
	case outcome == Malformed:
		q.failure = EndMalformed
	default:
		dst = q.keep(RankError, ev, dst)
	}
	s.failing = true
	return q.advance(now, dst)
}

// noteReply records what a reply tells about the server.
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
		// A server without EDNS rejects it in a reply without an OPT record (RFC 6891 §7).
		if !ev.OPT && !s.edns.recent(now) && s.edns.failed(now, q.start.Key) {
			s.notices.addNotice(NoticePlain)
		}
	case a.edns && !isError:
		s.edns.taken(now)
	case !a.edns && !isError && ev.Outcome != NotUnderstood &&
		(q.failedWithEDNS(now, a) || wasMute && !q.client() && !s.edns.recent(now)):
		// The probe without EDNS is answered, although questions with EDNS were not.
		if s.edns.failed(now, q.start.Key) {
			s.notices.addNotice(NoticePlain)
		}
	}
	if a.mixed && ev.Outcome == Good {
		s.casing.kept()
	}
}

// refusesEDNS reports whether a reply to a looks as if a server or middlebox refuses every
// question with an OPT record: the reply has no OPT record, and the server has not answered
// with EDNS recently.
func (q *Query) refusesEDNS(now Time, a *attempt, ev *Event) bool {
	return ev.Outcome == Declined && a.edns && !ev.OPT && !q.server(a.server).edns.recent(now)
}

// failedWithEDNS takes plain, an attempt without EDNS that has now been answered. It reports
// whether the same server refused this question with EDNS before, or left it unanswered for
// clearly longer than it needed for plain. The latter does not count where the name is slow,
// since both attempts then take long, or where the server has answered with EDNS recently.
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

// keep stores a reply that is not good. The first reply of a rank is kept, except that one
// with an OPT record, which may give a reason (RFC 8914), replaces one without.
func (q *Query) keep(rank Rank, ev *Event, dst []Action) []Action {
	explains := rank == q.best && ev.OPT && !q.bestOPT
	if !ev.Keepable || rank <= q.best && !explains {
		return dst
	}
	q.best, q.bestOPT = rank, ev.OPT
	if rank == RankIgnored {
		return dst // such a reply is not passed on
	}
	return append(dst, Action{Kind: Keep, Attempt: ev.Attempt})
}

// truncated asks again over TCP or, if TCP cannot be used, asks another server.
func (q *Query) truncated(now Time, a *attempt, dst []Action) []Action {
	if q.awaiting {
		a.postponed = true
		return dst
	}
	if !q.server(a.server).streams.missing(now) {
		var sent bool
		if dst, sent = q.sendWhole(now, a.server, a.edns, false, dst); sent {
			return dst
		}
	}
	return q.advance(now, dst)
}

// ignored handles a reply that the configuration says to ignore. It waits for a better one: a
// second reply to the same attempt, or one from another server.
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

// miscased handles a reply that is right except for the case of its name. The reply may be
// forged, so we go on waiting for another. It may also come from a server that always answers
// in lower case, so the question is asked once more immediately; such a server is soon
// recognized and then asked without mixed case.
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

// disconnected handles the end of a connection. If the connection had been made, the question
// is asked once more on a new one, because servers may close idle connections at any time
// (RFC 7766 §6.2.4).
//
// A failure of TCP says nothing about UDP, so the server does not count as silent.
func (q *Query) disconnected(now Time, ev Event, dst []Action) []Action {
	a := &q.attempts[ev.Attempt]
	s := q.server(a.server)
	q.close(a)
	switch {
	case ev.Kind != Lost || a.repeated:
	case s.secure.on && s.paused(now): // it has failed repeatedly
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
	return q.advance(now, dst)
}
