package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// connectOptions are the flags of connect.
type connectOptions struct {
	peerOptions
	ca         string // PEM file
	serverName string
	insecure   bool
	chain      string // PEM file, "-": standard error
	session    sessionFile
	reconnect  bool
	timeout    time.Duration
	wait       time.Duration
}

func newConnectCommand(std streams) *ffcli.Command {
	var o connectOptions
	fs := newFlagSet("flightpath connect")
	o.register(fs)
	fs.StringVar(&o.ca, "ca", "", "verify the server by the certificates in this PEM `file` (default: the system's)")
	fs.StringVar(&o.serverName, "servername", "", "`name` the server must prove, and is told (default: the host of the address)")
	fs.BoolVar(&o.insecure, "insecure", false, "accept any certificate")
	fs.StringVar(&o.chain, "chain", "", "write the server's certificates, leaf first, to this PEM `file`; - is standard error. With -insecure, whatever they are")
	fs.StringVar((*string)(&o.session), "session", "", "resume the session in this `file`, if it exists, and keep the newest one there, a secret")
	fs.BoolVar(&o.reconnect, "reconnect", false, "connect, close, and connect again with the session that the server gave")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "give up the handshake after this `time`")
	fs.DurationVar(&o.wait, "wait", 500*time.Millisecond, "after the end of standard input, go on until nothing has come for this `time`")
	return &ffcli.Command{
		Name:       "connect",
		ShortUsage: "flightpath connect [flags] <host:port>",
		ShortHelp:  "an association with a server: lines go out as records, records come in as they are",
		LongHelp: `Shakes hands with a DTLS server, says on standard error what was negotiated, and
then sends each line of standard input, with its newline, as one record, and copies
the records of the server to standard output. It ends with the server's
close_notify, some time after the end of standard input, or when it is interrupted.`,
		FlagSet: fs,
		Exec: func(ctx context.Context, args []string) error {
			address, err := oneAddress("connect", args)
			if err == nil {
				err = connect(ctx, &o, address, std)
			}
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			return nil
		},
	}
}

func (o *connectOptions) config(log io.Writer) (*dtls.Config, func(), error) {
	if err := o.checkConnect(); err != nil {
		return nil, nil, err
	}
	config, done, err := o.peerOptions.config(log)
	if err != nil {
		return nil, nil, err
	}
	config.ServerName, config.InsecureSkipVerify = o.serverName, o.insecure
	config.HandshakeTimeout = o.timeout // not ctx: this error says what was sent and awaited
	if err := o.credentials(config); err != nil {
		done()
		return nil, nil, err
	}
	return config, done, nil
}

// checkConnect finds mistakes in the flags of connect.
func (o *connectOptions) checkConnect() error {
	if err := checkRules(o.fs, connectRules); err != nil {
		return err
	}
	switch {
	case o.timeout <= 0 || o.wait <= 0:
		return badUsage("-timeout and -wait must be longer than 0")
	case o.hasPSK() && !o.namesCertSuite():
		if err := o.withoutPSK("name a suite with certificates, of DTLS 1.2 (-suite)", "ca", "insecure", "cert", "chain"); err != nil {
			return err
		}
	}
	for _, name := range []string{"session", "reconnect"} {
		if given(o.fs, name) && !o.mayUse("1.3") {
			return badUsage("-%s needs DTLS 1.3, and -version is %s: leave one of them out", name, o.version)
		}
	}
	return nil
}

// credentials adds the client's own, and what it verifies the server by.
func (o *connectOptions) credentials(config *dtls.Config) (err error) {
	if o.hasPSK() {
		psk, err := o.loadPSK()
		if err != nil {
			return err
		}
		config.ClientPSK = clientPSK(psk)
	}
	if o.ca != "" {
		if config.RootCAs, err = loadPool(o.ca); err != nil {
			return fmt.Errorf("-ca: %w", err)
		}
	}
	return nil
}

// connect makes one association, or two with -reconnect, and copies until it
// ends.
func connect(ctx context.Context, o *connectOptions, address string, std streams) error {
	config, done, err := o.config(std.err)
	if err != nil {
		return err
	}
	defer done()
	if config.Session, err = o.session.load(); err != nil {
		return err
	}
	given := newSessions()
	config.OnSession = given.add
	c, err := o.dial(ctx, address, config, std.err)
	if err != nil {
		return err
	}
	if o.reconnect {
		if c, err = o.again(ctx, c, address, config, given, std.err); err != nil {
			return err
		}
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if o.chain != "" {
		if err := saveChain(o.chain, c.ConnectionState().PeerCertificates, std.err); err != nil {
			return err
		}
	}
	err = (&talk{Conn: c, wait: o.wait, log: std.err}).run(std.in, std.out)
	if ctx.Err() != nil {
		fmt.Fprintln(std.err, "interrupted: the association is closed")
	}
	return errors.Join(err, o.keep(given, std.err))
}

// dial makes one association and says what was negotiated.
func (o *connectOptions) dial(ctx context.Context, address string, config *dtls.Config, log io.Writer) (*dtls.Conn, error) {
	trace := newTracing(log)
	if o.trace {
		config.Trace = trace.hooks()
	}
	dialer := dtls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil && o.trace {
		fmt.Fprintf(log, "no association; %s\n", trace.lastWords())
	}
	if mistake := inFlags(err); errors.As(mistake, new(usageError)) {
		return nil, mistake // nothing was sent: the session, if any, is as good as before
	}
	if err := o.session.drop(); err != nil {
		return nil, err
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errors.New("interrupted before the handshake was complete")
	case err != nil:
		return nil, err
	}
	c := conn.(*dtls.Conn)
	if err := o.summarize(log, "connected to "+c.RemoteAddr().String(), c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// again closes an association when it has a session, and resumes that.
func (o *connectOptions) again(ctx context.Context, c *dtls.Conn, address string, config *dtls.Config, given sessions, log io.Writer) (_ *dtls.Conn, err error) {
	config = config.Clone()
	config.Session, err = given.await(ctx, c)
	_ = c.Close()
	if err != nil {
		return nil, err
	}
	c, err = o.dial(ctx, address, config, log)
	if err == nil && !c.ConnectionState().DidResume {
		_ = c.Close()
		err = errors.New("-reconnect: the server did not resume the session")
	}
	return c, err
}

// keep stores the newest session where -session says.
func (o *connectOptions) keep(given sessions, log io.Writer) error {
	if o.session == "" {
		return nil
	}
	session := given.newest()
	if session == nil {
		fmt.Fprintf(log, "the server gave no session: %s is not written\n", o.session)
		return nil
	}
	return o.session.store(session)
}

// talk copies between lines and records.
type talk struct {
	*dtls.Conn
	wait time.Duration
	log  io.Writer

	inputEnded atomic.Bool
}

// run returns when the association is over, or the input and then some time. A
// read of the input that is under way is left alone: nothing can interrupt it.
func (t *talk) run(in io.Reader, out io.Writer) error {
	sent := make(chan error, 1)
	go func() {
		err := t.send(in)
		sent <- err
		if err != nil && !isLarge(err) {
			_ = t.Close()
			return
		}
		t.inputEnded.Store(true)
		t.setPatience()
	}()
	err := t.receive(out)
	select {
	case sendErr := <-sent:
		if err == nil || errors.Is(err, net.ErrClosed) {
			err = sendErr
		}
	default: // the input has not ended
	}
	if errors.Is(err, net.ErrClosed) {
		return nil // either side wanted it
	}
	return err
}

func (t *talk) setPatience() { _ = t.SetReadDeadline(time.Now().Add(t.wait)) }

// receive copies records until the end.
func (t *talk) receive(out io.Writer) error {
	buf := make([]byte, maxRecord)
	for {
		n, err := t.Read(buf)
		switch {
		case errors.Is(err, io.EOF):
			fmt.Fprintln(t.log, "the peer has closed")
			return nil
		case errors.Is(err, dtls.ErrAgain):
			return nil
		case err != nil:
			return err
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
		if t.inputEnded.Load() {
			t.setPatience()
		}
	}
}

// maxRecord is the most data that one record holds (RFC 5246, Section 6.2.1).
const maxRecord = 1 << 14

// send makes each line a record. One that is too long is not sent, and said to
// be; the others are, and the last refusal is returned in the end.
func (t *talk) send(in io.Reader) error {
	var refusal error
	r := bufio.NewReaderSize(in, maxRecord+1) // what fills it fits no record
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			_, writeErr := t.Write(line)
			switch {
			case isLarge(writeErr):
				fmt.Fprintf(t.log, "a line was not sent: %v\n", writeErr)
				refusal = fmt.Errorf("not every line was sent: %w", writeErr)
			case dtls.IsFatal(writeErr):
				return writeErr
			case writeErr != nil:
				fmt.Fprintf(t.log, "a line may be lost: %v\n", writeErr)
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n') // the rest of that line
		}
		switch {
		case errors.Is(err, io.EOF):
			return refusal
		case err != nil:
			return err
		}
	}
}

func isLarge(err error) bool { return errors.Is(err, dtls.ErrLargePacket) }
