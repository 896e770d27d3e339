package main

import (
	"errors"
	"fmt"
	"time"
)

// What must hold. A black hole costs two silent transmissions before smaller
// datagrams are tried, with a timer that the cookie's round trip has set.
const (
	limitICMP      = 100 * time.Millisecond // median without loss
	limitBlackHole = 700 * time.Millisecond
	mustComplete   = 10 // percent of loss; beyond, times are reported only
)

// check lists the cells in which something does not hold.
func check(cells []*cell) error {
	var errs []error
	for _, c := range cells {
		complete := len(c.times())
		if c.loss <= mustComplete && complete < len(c.tries) {
			errs = append(errs, fmt.Errorf("%v: only %d of %d are complete", c, complete, len(c.tries)))
		}
		limit := limitICMP
		if c.blackHole {
			limit = limitBlackHole
		}
		if c.loss == 0 && complete > 0 && median(c.times()) > limit {
			errs = append(errs, fmt.Errorf("%v: a median of %v, want at most %v", c, median(c.times()), limit))
		}
	}
	return errors.Join(errs...)
}
