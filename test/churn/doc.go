// Package churn changes the objects of a cluster 200 times a second while the real
// kubedns serves it, makes the API server fail in many ways, and sends queries all the
// time. Names that do not change must never be answered wrongly. Whenever the changes
// pause, every answer must be the one that a freshly started kubedns gives.
//
// The test takes a minute. SOAK=DURATION makes it run for that time instead.
package churn
