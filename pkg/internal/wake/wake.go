// Package wake wakes a goroutine that waits for work.
//
// The goroutine receives from a channel with a capacity of 1. Call [Up] when there is work:
// any number of calls before the goroutine looks are one.
package wake

// Up sends to c, unless a value waits there already. It does not block.
func Up(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
