// Package wire reads and writes DNS messages in place, for the paths that every
// packet takes. Nothing here allocates, blocks, logs or reads the clock.
//
// Use [ParseQuery] and [ParseReply] to read messages, a [Builder] to write a reply
// record by record, and [AppendError], [AppendReply] and [AppendQuery] for the
// messages that do not need that.
//
// # Reading
//
// [ParseQuery] checks a client's packet and fills a [Query]; its [Verdict] says
// whether to answer it, to drop it, or which error to return. [ParseReply] checks a
// whole message of an upstream server and fills a [Reply], whose records an [Iter]
// then visits. Both are views: their slices share memory with the packet, and are
// valid as long as the packet is.
//
// A name is either uncompressed wire form (length octet, label, ..., zero
// octet; at most 255 octets) or an offset into a message. Compression pointers
// are followed only backwards, to before the start of the part that holds them, so no
// message can make a reader loop.
//
// # Writing
//
// A [Builder] makes a reply to a Query within a size limit: records are appended whole
// or not at all, names are compressed, and space for the OPT record is reserved.
// [AppendError], [AppendReply] and [AppendQuery] make an error, a relayed reply, and a
// question for an upstream server. All of them append to the caller's slice.
//
// Use miekg/dns for messages that are not on a hot path. The fuzz targets of this
// package compare every function with miekg/dns.
package wire
