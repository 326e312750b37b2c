// Package wire reads and writes DNS messages in place, for the paths that
// every packet takes. Nothing here allocates, blocks, logs or knows the time.
//
// # Reading
//
// [ParseQuery] judges a client's packet and fills a [Query]; its [Verdict] says
// whether to answer it, to drop it, or which error it earned. [ParseReply]
// checks an upstream's message to its last octet and fills a [Reply], whose
// records are then walked with an [Iter]. Both are views: their slices alias
// the packet and live as long as it does.
//
// A name is either uncompressed wire form (length octet, label, ..., zero
// octet; at most 255 octets) or an offset into a message. Compression pointers
// are followed strictly backwards, below the start of the part that holds
// them, so no message can make a reader loop.
//
// # Writing
//
// [Builder] makes a reply to a Query within a size limit: records are appended
// whole or not at all, names are compressed, room for the OPT record is held
// back. [AppendError], [AppendReply] and [AppendQuery] make the three messages
// that need no record-by-record work: an error, a relayed reply, a question
// for an upstream. All of them append to the caller's slice.
//
// Messages that are not on a hot path are better made with miekg/dns, against
// which the fuzz targets of this package hold every function here.
package wire
