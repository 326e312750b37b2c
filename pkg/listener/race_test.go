//go:build race

package listener

// raceEnabled: the race detector changes how much is allocated.
const raceEnabled = true
