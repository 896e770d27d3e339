// Package role is for programs that start themselves again, to play another
// role: the far end of an association, or a server whose memory is its own. A
// role is asked on its standard input, a line for each question, and answers on
// its standard output with JSON.
package role

import (
	"fmt"
	"os"
)

// Play plays the role that the first argument of this program names, with the
// arguments behind it, and exits. It returns if there is no such role.
func Play(roles map[string]func(args []string) error) {
	if len(os.Args) < 2 {
		return
	}
	play, ok := roles[os.Args[1]]
	if !ok {
		return
	}
	if err := play(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
