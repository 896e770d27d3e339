package outcome

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
)

func TestOutcomes(t *testing.T) {
	again, stopped := &Retry{Text: "again", Passed: true}, &Retry{Text: "stopped"}
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	late, done := context.WithTimeout(t.Context(), 0)
	defer done()
	for _, test := range []struct {
		err     net.Error
		timeout bool
		is      []error
	}{
		{again, true, []error{os.ErrDeadlineExceeded}},
		{stopped, false, nil},
		{Interrupt(ctx, stopped), false, []error{stopped, context.Canceled, cause}},
		{Interrupt(late, stopped), true, []error{stopped, context.DeadlineExceeded}},
		{Idle("idle"), true, nil},
	} {
		if test.err.Timeout() != test.timeout || test.err.Error() == "" {
			t.Errorf("%v: Timeout %v", test.err, test.err.Timeout())
		}
		for _, target := range test.is {
			if !errors.Is(test.err, target) {
				t.Errorf("%v is not %v", test.err, target)
			}
		}
	}
	if errors.Is(stopped, os.ErrDeadlineExceeded) {
		t.Error("no deadline has passed")
	}
}
