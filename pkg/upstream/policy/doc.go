// Package policy decides how to ask upstream servers. Call [Query.Reset] to describe a
// question, and [Query.Step] for each event; Step returns the actions to carry out next:
//
//	q.Reset(policy.Start{Config: cfg, Group: group, Key: key})
//	actions := q.Step(now, policy.Event{Kind: policy.Begin}, nil)
//	// send what the actions say, wait until q.Due() or an event, step again
//
// The package has no socket, lock, goroutine or clock. The caller passes the time, and makes
// sure that nobody else uses the same servers during a call. The same events therefore always
// lead to the same actions. The files in testdata show events and actions in order, like a
// transcript.
//
// A [Query] is the policy of one question: which server to ask, when to ask again, whether a
// reply is good enough, when to give up. A [Server] is what is known about one upstream
// server: its round-trip time, and whether it answers, supports EDNS, keeps the case of
// names, answers over TCP, or sends our own questions back to us. A [Group] is the servers
// that may answer the same names.
package policy
