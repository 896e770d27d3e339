package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// Process is a program that plays a role. It should end when its standard input
// does.
type Process struct {
	stdin   io.WriteCloser
	reports *json.Decoder
	log     bytes.Buffer
	end     func()
}

// Start starts a program. It ends with Stop, and at the latest with the context
// of cmd.
func Start(cmd *exec.Cmd) (*Process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{stdin: stdin, reports: json.NewDecoder(stdout)}
	cmd.Stderr = &p.log
	p.end = sync.OnceFunc(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // its reports have told what there is to tell
	})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Report waits for the next report and decodes it into v. If there is none, the
// process is stopped, and the error says what it has written on its standard
// error.
func (p *Process) Report(v any) error {
	if err := p.reports.Decode(v); err != nil {
		return fmt.Errorf("no report: %w\n%s", err, p.Stop())
	}
	return nil
}

// Ask writes a line to the standard input of the process and waits for what it
// reports, as Report does.
func (p *Process) Ask(line string, v any) error {
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		return fmt.Errorf("%w\n%s", err, p.Stop())
	}
	return p.Report(v)
}

// Stop closes the standard input, waits for the end of the process, and returns
// what it has written on its standard error.
func (p *Process) Stop() string {
	p.end()
	return p.log.String()
}
