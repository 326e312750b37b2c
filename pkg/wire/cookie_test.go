package wire

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// TestSipHash uses the vectors of SipHash's authors: key 00 to 0f, text 00, 01,
// and so on.
func TestSipHash(t *testing.T) {
	var key CookieSecret
	for i := range key {
		key[i] = byte(i)
	}
	text := make([]byte, 64)
	for i := range text {
		text[i] = byte(i)
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 15: 0xa129ca6149be45e5} {
		if got := sipHash(&key, text[:n]); got != want {
			t.Errorf("%d octets: %x, want %x", n, got, want)
		}
	}
}

// TestCookieVector is RFC 9018 Appendix A.1.
func TestCookieVector(t *testing.T) {
	var key CookieSecret
	if _, err := hex.Decode(key[:], []byte("e5e973e5a6b2a43f48e7dc849e37bfcf")); err != nil {
		t.Fatal(err)
	}
	client, _ := hex.DecodeString("2464c4abcf10c957")
	var b Cookie
	got := hex.EncodeToString(key.fill(&b, client, netip.MustParseAddr("198.51.100.100"), 1559731985))
	if want := "2464c4abcf10c957010000005cf79f111f8130c3eee29480"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
