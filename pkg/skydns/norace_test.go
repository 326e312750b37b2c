//go:build !race

package skydns

const raceEnabled = false
