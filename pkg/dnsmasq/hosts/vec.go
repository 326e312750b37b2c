package hosts

// vec is a list that grows in chunks, so that growing neither copies elements nor makes garbage.
type vec[T any] struct {
	chunks []*[chunkLen]T
	len    uint32
}

// chunkLen is the number of elements in a chunk.
const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

// at returns the element i, which must exist.
func (v *vec[T]) at(i uint32) *T { return &v.chunks[i>>chunkBits][i&(chunkLen-1)] }

// push adds an element and returns its number.
func (v *vec[T]) push(x T) uint32 {
	i := v.len
	v.resize(i + 1)
	*v.at(i) = x
	return i
}

// resize sets the number of elements. Elements that were never used before are zero.
func (v *vec[T]) resize(n uint32) {
	need := int((uint64(n) + chunkLen - 1) >> chunkBits)
	for len(v.chunks) < need {
		v.chunks = append(v.chunks, new([chunkLen]T))
	}
	clear(v.chunks[need:])
	v.chunks, v.len = v.chunks[:need], n
}

// blob is a sequence of octets in chunks. Octets that are added together are in one chunk.
type blob struct {
	chunks []*[blobChunk]byte
	used   int // octets of the last chunk
}

const (
	blobBits  = 14
	blobChunk = 1 << blobBits
	// maxBlob is the number of chunks that an offset of 32 bits can address.
	maxBlob = 1 << (32 - blobBits)
)

// addText stores at most 255 octets and returns their offset. It returns false if the blob is
// full.
func (b *blob) addText(data []byte) (uint32, bool) {
	if len(b.chunks) == 0 || b.used+len(data) > blobChunk {
		if len(b.chunks) == maxBlob {
			return 0, false
		}
		b.chunks, b.used = append(b.chunks, new([blobChunk]byte)), 0
	}
	last := len(b.chunks) - 1
	at := b.used
	b.used += copy(b.chunks[last][at:], data)
	return uint32(last)<<blobBits | uint32(at), true
}

// from returns the octets from an offset to the end of its chunk.
func (b *blob) from(at uint32) []byte { return b.chunks[at>>blobBits][at&(blobChunk-1):] }
