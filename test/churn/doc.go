// Package churn changes a cluster 200 times a second under the real kubedns,
// while the API server fails in every way it can, and asks all the time. What
// nobody changes must never be answered wrong, and whenever it becomes quiet,
// every answer must be that of a kubedns that has just been started.
//
// SOAK=duration makes it longer than the minute that it takes otherwise.
package churn
