package prober

import (
	"net/http"
	"time"
)

// Result is what one run of a check left behind. It is a value and is never
// changed after it was published. The zero Result means that no run has ended.
type Result struct {
	// Output is what the check printed, at most [MaxOutput] bytes and a note of
	// what was cut.
	Output string
	// Start and End enclose the run. The age of a result counts from End.
	Start, End time.Time
	// Err is why the run failed, nil when it ended well.
	Err error
}

// Ended reports whether the result is that of a run, not the zero Result.
func (r Result) Ended() bool { return !r.End.IsZero() }

// Rules turn a result into a status. They are a value without state.
type Rules struct {
	// Path is the URL path that the texts name.
	Path string
	// Latency is the oldest age at which a good result still counts.
	Latency time.Duration
	// ShowOutput makes the output of a good run the body, instead of "ok".
	ShowOutput bool
}

// Status is what a health URL answers: an HTTP status code and a plain text
// body, which goes out as it is.
type Status struct {
	Code int
	Body string
}

// Healthy reports whether the status is the good one.
func (s Status) Healthy() bool { return s.Code == http.StatusOK }

// Judge says what the URL answers at now when last is the newest result. An
// error wins over age. The texts are those of exechealthz 1.2; output goes into
// them as bytes, never as a format.
func (r Rules) Judge(last Result, now time.Time) Status {
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

func describe(r Result, err string) string {
	return "Result of last exec: " + r.Output + ", at " + r.End.Round(0).UTC().String() + ", error " + err
}
