package wire

// Sizes, in octets.
const (
	HeaderLen      = 12    // RFC 1035 §4.1.1
	MaxName        = 255   // RFC 1035 §2.3.4, length octets and the root's included
	MaxLabel       = 63    // RFC 1035 §2.3.4
	MaxMessage     = 65535 // the TCP length prefix, RFC 1035 §4.2.2
	MaxPacket      = 65507 // the longest message that fits in a UDP packet over IPv4
	MinPayload     = 512   // UDP payload that everyone must accept, RFC 1035 §4.2.1
	DefaultPayload = 1232  // the size we advertise; it fits an IPv6 packet of 1280 (DNS flag day 2020)
)

// Header flags in the second 16 bits of a message (RFC 1035 §4.1.1, RFC 4035 §3.2).
const (
	FlagQR uint16 = 1 << 15 // a response
	FlagAA uint16 = 1 << 10 // authoritative answer
	FlagTC uint16 = 1 << 9  // truncated
	FlagRD uint16 = 1 << 8  // recursion desired
	FlagRA uint16 = 1 << 7  // recursion available
	FlagZ  uint16 = 1 << 6  // reserved: never copied, never set
	FlagAD uint16 = 1 << 5  // authentic data
	FlagCD uint16 = 1 << 4  // checking disabled

	opcodeMask uint16 = 0xf << 11
	rcodeMask  uint16 = 0xf
)

// OpcodeQuery is the only opcode that is answered.
const OpcodeQuery = 0

// Response codes; values above 15 need an OPT record, RFC 6891 §6.1.3.
const (
	RcodeSuccess   = 0
	RcodeFormErr   = 1
	RcodeServFail  = 2
	RcodeNXDomain  = 3
	RcodeNotImp    = 4
	RcodeRefused   = 5
	RcodeYXDomain  = 6 // a DNAME leads to a name that is too long, RFC 6672 §2.2
	RcodeBadVers   = 16
	RcodeBadCookie = 23
)

// Record types that have a meaning in this module; the RDATA of all others is opaque
// (RFC 3597).
const (
	TypeA      uint16 = 1
	TypeNS     uint16 = 2
	TypeMD     uint16 = 3
	TypeMF     uint16 = 4
	TypeCNAME  uint16 = 5
	TypeSOA    uint16 = 6
	TypeMB     uint16 = 7
	TypeMG     uint16 = 8
	TypeMR     uint16 = 9
	TypePTR    uint16 = 12
	TypeHINFO  uint16 = 13
	TypeMINFO  uint16 = 14
	TypeMX     uint16 = 15
	TypeTXT    uint16 = 16
	TypeRP     uint16 = 17
	TypeAFSDB  uint16 = 18
	TypeRT     uint16 = 21
	TypeSIG    uint16 = 24
	TypePX     uint16 = 26
	TypeAAAA   uint16 = 28
	TypeNXT    uint16 = 30
	TypeSRV    uint16 = 33
	TypeNAPTR  uint16 = 35
	TypeKX     uint16 = 36
	TypeDNAME  uint16 = 39
	TypeOPT    uint16 = 41
	TypeDS     uint16 = 43
	TypeRRSIG  uint16 = 46
	TypeNSEC   uint16 = 47
	TypeDNSKEY uint16 = 48
	TypeNSEC3  uint16 = 50
	TypeSVCB   uint16 = 64
	TypeHTTPS  uint16 = 65
	TypeSPF    uint16 = 99
	TypeTKEY   uint16 = 249
	TypeTSIG   uint16 = 250
	TypeIXFR   uint16 = 251
	TypeAXFR   uint16 = 252
	TypeANY    uint16 = 255
	TypeCAA    uint16 = 257
)

// Classes.
const (
	ClassIN  uint16 = 1
	ClassCH  uint16 = 3
	ClassANY uint16 = 255
)

// EDNS option codes.
const (
	OptionNSID      uint16 = 3  // RFC 5001
	OptionECS       uint16 = 8  // RFC 7871
	OptionCookie    uint16 = 10 // RFC 7873
	OptionKeepalive uint16 = 11 // RFC 7828
	OptionPadding   uint16 = 12 // RFC 7830
	OptionEDE       uint16 = 15 // RFC 8914
)

// Extended error codes, RFC 8914 §4.
const (
	EDEOther                uint16 = 0
	EDEStaleAnswer          uint16 = 3
	EDECachedError          uint16 = 13
	EDENotReady             uint16 = 14
	EDEBlocked              uint16 = 15
	EDEFiltered             uint16 = 17
	EDEProhibited           uint16 = 18
	EDEStaleNXDomain        uint16 = 19
	EDENotAuthoritative     uint16 = 20
	EDENotSupported         uint16 = 21
	EDENoReachableAuthority uint16 = 22
	EDENetworkError         uint16 = 23
	EDEInvalidData          uint16 = 24
)
