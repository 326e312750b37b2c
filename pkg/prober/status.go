package prober

import (
	"net/http"
	"time"
)

// CheckResult is the outcome of one run of a check. It does not change after it was
// published. The zero Result means that no run has ended.
type CheckResult struct {
	// Output is what the check printed: at most [MaxOutput] bytes, and a note if
	// more was cut off.
	Output string
	// Start and End are the times of the run. The age of a result is counted from
	// End.
	Start, End time.Time
	// Err is why the run failed, or nil if it succeeded.
	Err error
}

// Ended reports whether this is the result of a run, and not the zero Result.
func (r CheckResult) Ended() bool { return !r.End.IsZero() }

// Rules turn a result into a status. They are a value without state.
type Rules struct {
	// Path is the URL path that the texts name.
	Path string
	// Latency is the age up to which a successful result counts.
	Latency time.Duration
	// ShowOutput makes the body the output of a successful run instead of "ok".
	ShowOutput bool
}

// Status is what a health URL answers: an HTTP status code and a plain text body.
type Status struct {
	Code int
	Body string
}

// Healthy reports whether the status is 200.
func (s Status) Healthy() bool { return s.Code == http.StatusOK }

// Judge returns what the URL answers at now if last is the latest result. A failed run
// is reported as failed, however old it is. The texts are those of exechealthz 1.2.
// Output is inserted as it is and never used as a format.
func (r Rules) Judge(last CheckResult, now time.Time) Status {
	switch {
	case !last.Ended():
		return unavailable("Healthz probe on " + r.Path + " error: no run has ended yet")
	case last.Err != nil:
		return unavailable("Healthz probe on " + r.Path + " error: " + describe(last, last.Err.Error()))
	case now.Sub(last.End) > r.Latency:
		return unavailable("Latest result too old to be useful: " + describe(last, "None") + ".")
	case r.ShowOutput:
		return Status{Code: http.StatusOK, Body: last.Output}
	}
	return Status{Code: http.StatusOK, Body: "ok"}
}

func unavailable(text string) Status {
	return Status{Code: http.StatusServiceUnavailable, Body: text + "\n"}
}

func describe(r CheckResult, err string) string {
	return "Result of last exec: " + r.Output + ", at " + r.End.Round(0).UTC().String() + ", error " + err
}
