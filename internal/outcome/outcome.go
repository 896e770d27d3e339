// Package outcome has the types of errors that end a call, not an association, and of
// the time-out of an idle one.
package outcome

import (
	"context"
	"os"
)

// Retry is a non-fatal outcome of a call that may be repeated.
type Retry struct {
	Text   string
	Passed bool // a deadline has
}

func (e *Retry) Error() string   { return e.Text }
func (e *Retry) Timeout() bool   { return e.Passed }
func (e *Retry) Temporary() bool { return true }

// Is makes the error of a deadline match os.ErrDeadlineExceeded.
func (e *Retry) Is(target error) bool { return e.Passed && target == os.ErrDeadlineExceeded }

// Interrupted is a Retry with the context that ended.
type Interrupted struct{ retry, err, cause error }

// Interrupt returns retry for a context that has ended.
func Interrupt(ctx context.Context, retry error) *Interrupted {
	return &Interrupted{retry, ctx.Err(), context.Cause(ctx)}
}

func (e *Interrupted) Error() string { return e.retry.Error() + ": " + e.cause.Error() }

// Unwrap returns the outcome, the error of the context and its cause.
func (e *Interrupted) Unwrap() []error { return []error{e.retry, e.err, e.cause} }

// Timeout reports whether the context's deadline passed.
func (e *Interrupted) Timeout() bool   { return e.err == context.DeadlineExceeded } //nolint:errorlint // of package context
func (e *Interrupted) Temporary() bool { return true }

// Idle is the end of an association whose peer was silent.
type Idle string

func (e Idle) Error() string { return string(e) }
func (Idle) Timeout() bool   { return true }
func (Idle) Temporary() bool { return false }
