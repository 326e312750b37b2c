// Package policy decides how questions are put to upstream servers. Use
// [Query.Reset] to describe a question and [Query.Step] to tell it what
// happened; Step returns what to do next:
//
//	q.Reset(policy.Start{Config: cfg, Group: group, Key: key})
//	actions := q.Step(now, policy.Event{Kind: policy.Begin}, nil)
//	// send what the actions say, wait until q.Due() or an event, step again
//
// The package has no socket, lock, goroutine or clock: the caller has them, tells
// the time, and makes sure that nobody else uses the same servers during a
// call. The same events therefore always lead to the same actions, which
// testdata shows in files that read like a protocol.
//
// A [Query] is the policy of one question: which server to ask, when to ask
// again, whether an answer is good enough, when to give up. A [Server] is what
// is known of one upstream server: round-trip time, whether it answers, whether
// it takes EDNS, keeps the case of names, answers over TCP, or sends our own
// questions back to us. A [Group] is the servers that may answer the same
// names.
package policy
