//go:build !linux && !darwin && !freebsd && !windows

package udpsock

import "errors"

func (*kernel) dontFragment(uintptr, bool) []error { return []error{errors.ErrUnsupported} }
