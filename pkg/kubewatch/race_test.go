//go:build race

package kubewatch

const raceEnabled = true
