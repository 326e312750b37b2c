// Package statuspage tests the status page of kubedns in Debian's Chromium: what it shows,
// that text from outside stays text, that it needs nothing but itself, and that everybody
// can read and use it.
package statuspage
