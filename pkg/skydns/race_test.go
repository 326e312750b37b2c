//go:build race

package skydns

const raceEnabled = true
