package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// Process is a program that runs on a host and says on its standard output, in
// JSON, what it has to report. It should end when its standard input does.
type Process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	reports *json.Decoder
	log     bytes.Buffer
	end     func()
}

// Start starts a program on a host. It ends with Stop, and at the latest with
// ctx.
func (l *Lab) Start(ctx context.Context, h Host, program string, args ...string) (*Process, error) {
	p := &Process{cmd: l.Command(ctx, h, program, args...)}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.reports, p.cmd.Stderr = json.NewDecoder(stdout), &p.log
	p.end = sync.OnceFunc(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Wait() // its reports have told what there is to tell
	})
	return p, p.cmd.Start()
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

// Say writes to the standard input of the process.
func (p *Process) Say(text string) error {
	_, err := io.WriteString(p.stdin, text)
	return err
}

// Stop closes the standard input, waits for the end of the process, and returns
// what it has written on its standard error.
func (p *Process) Stop() string {
	p.end()
	return p.log.String()
}
