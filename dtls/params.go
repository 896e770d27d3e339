package dtls

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/cookie"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/timing"
	"github.com/flightpath-dtls/flightpath/record"
)

// params are a Config resolved and checked once: defaults filled in, callbacks
// reduced to plain functions. Nothing below reads Config.
type params struct {
	handshake.Config // what a handshake reads

	time        func() time.Time // of the fronts
	sessionSink sessionSink

	mtu, maxMTU   int
	mtuMode       MTUMode
	onMTU         func(PathInfo)
	onLargePacket func(*LargePacketError) (int, bool)

	retransmit       RetransmitPolicy
	handshakeTimeout time.Duration // 0: none
	idleTimeout      time.Duration // 0: none
	linger           time.Duration // 0: none
	replayWindow     int
	receiveQueue     int
	maxHandshakeSize int
	maxHandshakes    int
	maxAssociations  int // 0: any number
	maxPerPrefix     int // likewise
	cookieMode       CookieMode
	cookieKeys       [][]byte
	restartKeys      [][]byte // for cookies of a Server over a net.Conn, without cookieKeys
	plaintextAlerts  PlaintextAlerts
	ignoreClosed     bool // IgnoreUnreachable
	trace            *tracer
	nonDTLS          func(p []byte, from net.Addr)
	logger           *slog.Logger
}

// needsDriver reports whether a handshake needs a caller that is told of
// refusals: with MTUManual and nobody to ask.
func (p *params) needsDriver() bool { return p.mtuMode == MTUManual && p.onLargePacket == nil }

const (
	defaultHandshakeTimeout = time.Minute
	defaultCallbackTimeout  = 5 * time.Second
	maxLinger               = 4 * time.Minute // of the default: RFC 6347, Section 4.2.4
	defaultReplayWindow     = 256
	defaultReceiveQueue     = 64 << 10
	defaultMaxHandshakeSize = 64 << 10
	defaultMaxHandshakes    = 4096
)

// resolve checks a config and fills in what it leaves open.
func resolve(c *Config, isClient bool) (*params, error) {
	if c == nil {
		c = &Config{}
	}
	p := &params{
		Config: handshake.Config{
			IsClient:     isClient,
			Rand:         c.Rand,
			ValidAt:      func(now time.Time) time.Time { return now },
			KeyLog:       keys.Logger(c.KeyLogWriter),
			ServerName:   c.ServerName,
			Certificates: c.Certificates,
			ClientAuth:   c.ClientAuth,
			PSKHint:      c.PSKHint,
			Roots:        c.ClientCAs,
			VerifyPeer:   c.VerifyPeerCertificate,
			ALPN:         c.NextProtos,
		},
		time:            c.Time,
		cookieMode:      c.CookieMode,
		cookieKeys:      c.CookieKeys,
		plaintextAlerts: c.PlaintextAlerts,
		ignoreClosed:    c.IgnoreUnreachable,
		trace:           newTracer(c),
		nonDTLS:         c.NonDTLS,
		logger:          c.Logger,
	}
	p.Owner = p
	if p.Rand == nil {
		p.Rand = rand.Reader
	}
	if c.Time != nil {
		p.ValidAt = func(time.Time) time.Time { return c.Time() }
	} else {
		p.time = time.Now
	}
	if isClient {
		p.Roots, p.SkipVerify = c.RootCAs, c.InsecureSkipVerify
	}
	p.wrapHello(c)
	if c.VerifyConnection != nil {
		p.VerifyConnection = func(in *handshake.Info) error {
			var s ConnectionState
			s.learn(in)
			return c.VerifyConnection(s)
		}
	}
	p.wrapPSK(c)
	for _, check := range []func(*Config) error{
		p.resolveHandshake, p.resolvePath, p.resolveTimers, p.resolveLimits, p.resolveSessions,
	} {
		if err := check(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// resolveHandshake chooses versions, suites, groups and schemes.
func (p *params) resolveHandshake(c *Config) error {
	if c.Hello > HelloFull {
		return badConfig("Hello %d is unknown", c.Hello)
	}
	err := p.Resolve(&handshake.Settings{
		MinVersion: c.MinVersion, MaxVersion: c.MaxVersion, RequirePQ: c.RequirePQ,
		DisableExtendedMasterSecret: c.DisableExtendedMasterSecret, RequireExtendedMasterSecret: c.RequireExtendedMasterSecret,
		CipherSuites: c.CipherSuites, CurvePreferences: c.CurvePreferences, SignatureSchemes: c.SignatureSchemes,
		Hello: handshake.HelloSize(c.Hello), AddressProven: c.CookieMode == AddressProven,
	})
	if err != nil {
		return badConfig("%v", err)
	}
	return nil
}

func (p *params) resolvePath(c *Config) error {
	p.mtu, p.maxMTU, p.mtuMode = c.MTU, c.MaxMTU, c.MTUMode
	p.onMTU, p.onLargePacket = c.OnMTU, c.OnLargePacket
	if p.mtu == 0 {
		p.mtu = defaultMTU
		if p.maxMTU != 0 {
			p.mtu = min(p.mtu, p.maxMTU)
		}
	}
	switch {
	case p.mtu < minMTU || p.mtu > maxUDPPayload:
		return badConfig("MTU %d: the smallest is %d, the largest %d bytes of UDP payload", p.mtu, minMTU, maxUDPPayload)
	case p.maxMTU != 0 && p.maxMTU < p.mtu:
		return badConfig("MaxMTU %d is below the MTU of %d to begin with", p.maxMTU, p.mtu)
	case p.mtuMode > MTUManual:
		return badConfig("MTUMode %d is unknown", p.mtuMode)
	}
	return nil
}

func (p *params) resolveTimers(c *Config) error {
	r := c.Retransmit
	d := RetransmitDefault
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
		name  string
	}{{&r.Initial, d.Initial, "Initial"}, {&r.Min, d.Min, "Min"}, {&r.Max, d.Max, "Max"}} {
		if *f.field < 0 {
			return badConfig("Retransmit.%s is negative", f.name)
		}
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	r.Min = min(r.Min, r.Initial)
	if r.MaxTries == 0 {
		r.MaxTries = d.MaxTries
	}
	if r.Burst == 0 {
		r.Burst = timing.DefaultBurst
	}
	switch {
	case r.Max < r.Initial:
		return badConfig("Retransmit.Max %v is below Initial %v", r.Max, r.Initial)
	case r.MaxTries < 0 || r.Burst < 0:
		return badConfig("Retransmit.MaxTries and Burst must not be negative")
	case c.HandshakeTimeout < -1:
		return badConfig("HandshakeTimeout %v is negative; −1 means none", c.HandshakeTimeout)
	case c.IdleTimeout < 0:
		return badConfig("IdleTimeout %v is negative; 0 means never", c.IdleTimeout)
	}
	p.FirstTimer = r.Initial
	p.retransmit, p.idleTimeout, p.linger = r, c.IdleTimeout, max(c.Linger, 0)
	if c.Linger == 0 {
		p.linger = min(2*r.Max, maxLinger)
	}
	switch p.handshakeTimeout = c.HandshakeTimeout; p.handshakeTimeout {
	case 0:
		p.handshakeTimeout = defaultHandshakeTimeout
	case -1:
		p.handshakeTimeout = 0
	}
	return nil
}

func (p *params) resolveLimits(c *Config) error {
	for _, l := range []struct {
		field             *int
		name              string
		value, fallback   int
		smallest, largest int
	}{
		{&p.replayWindow, "ReplayWindow", c.ReplayWindow, defaultReplayWindow, 64, 65536},
		{&p.receiveQueue, "ReceiveQueue", c.ReceiveQueue, defaultReceiveQueue, 1, 1 << 30},
		{&p.maxHandshakeSize, "MaxHandshakeSize", c.MaxHandshakeSize, defaultMaxHandshakeSize, 4096, 1<<24 - 1},
		{&p.RecordSizeLimit, "RecordSizeLimit", c.RecordSizeLimit, 0, 64, record.MaxPlaintext + 1},
		{&p.maxHandshakes, "MaxHandshakes", c.MaxHandshakes, defaultMaxHandshakes, 1, 1 << 20},
		{&p.maxAssociations, "MaxAssociations", c.MaxAssociations, 0, 0, math.MaxInt32},
		{&p.maxPerPrefix, "MaxPerPrefix", c.MaxPerPrefix, 0, 0, math.MaxInt32},
	} {
		*l.field = l.value
		if l.value == 0 {
			*l.field = l.fallback
		}
		if l.value == 0 && l.fallback == 0 {
			continue // no limit
		}
		if *l.field < l.smallest || *l.field > l.largest {
			return badConfig("%s %d is outside %d…%d", l.name, l.value, l.smallest, l.largest)
		}
	}
	if !p.Offers(VersionDTLS13) {
		// RFC 8449, Section 4: no more than the longest record of the version.
		p.RecordSizeLimit = min(p.RecordSizeLimit, record.MaxPlaintext)
	}
	for i, k := range c.CookieKeys {
		if len(k) < cookie.MinSecret {
			return badConfig("CookieKeys[%d] has %d bytes; %d random ones are the least", i, len(k), cookie.MinSecret)
		}
	}
	switch {
	case len(c.CookieKeys) > cookie.MaxSecrets:
		return badConfig("%d CookieKeys are too many: the present one, the one before and the next make %d", len(c.CookieKeys), cookie.MaxSecrets)
	case p.cookieMode > AddressProven:
		return badConfig("CookieMode %d is unknown", p.cookieMode)
	case p.plaintextAlerts > AlertsIgnored:
		return badConfig("PlaintextAlerts %d is unknown", p.plaintextAlerts)
	case p.ClientAuth < tls.NoClientCert || p.ClientAuth > tls.RequireAndVerifyClientCert:
		return badConfig("ClientAuth %d is unknown", p.ClientAuth)
	}
	return nil
}

// resolveSessions prepares resumption.
func (p *params) resolveSessions(c *Config) error {
	p.PSKAlone, p.sessionSink = c.PSKWithoutDHE, sessionSink{callback: c.OnSession, cache: c.ClientSessionCache}
	if p.IsClient {
		var take func(string) []byte
		if c.ClientSessionCache != nil {
			take = c.ClientSessionCache.Take
		}
		p.AsksTicket = c.OnSession != nil || c.ClientSessionCache != nil || c.Session != nil
		p.TakeSession = p.SessionSource(c.Session, take, &c.shared().Spent)
		return nil
	}
	p.restartKeys = c.shared().RestartKeys()
	if !c.SessionTicketsDisabled {
		p.Tickets = &c.shared().Tickets
	}
	return nil
}

// wrapPSK puts the time-out of callbacks around the PSK look-ups.
func (p *params) wrapPSK(c *Config) {
	timeout := cmp.Or(max(c.CallbackTimeout, 0), defaultCallbackTimeout)
	if lookup := c.ClientPSK; lookup != nil {
		p.ClientPSKs = func(parent context.Context, serverName string, hint []byte) (list []handshake.PSK, err error) {
			ctx, cancel := context.WithTimeout(parent, timeout)
			defer cancel()
			found, err := lookup(ctx, ClientPSKInfo{ServerName: serverName, Hint: hint})
			for _, k := range found {
				list = append(list, handshake.PSK{Identity: k.Identity, Key: k.Key})
			}
			return list, err
		}
	}
	if lookup := c.ServerPSK; lookup != nil {
		p.ServerPSK = func(parent context.Context) (func(handshake.PSKQuery) (*handshake.PSK, error), func()) {
			ctx, cancel := context.WithTimeout(parent, timeout)
			return func(q handshake.PSKQuery) (*handshake.PSK, error) {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				k, err := lookup(ctx, ServerPSKInfo{Identity: q.Identity, ServerName: q.ServerName, RemoteAddr: q.Peer})
				return (*handshake.PSK)(k), err
			}, cancel
		}
	}
}
