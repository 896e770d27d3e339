package dtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// Config has the settings of associations. The zero value works for a client
// that verifies its server by name; a server adds certificates or ServerPSK.
// Fields that crypto/tls has too mean the same here. A Config may be shared by
// any number of associations and must not be changed once in use; Clone makes
// a copy that may. It is checked before anything is sent; the error names the field
// and what to change.
type Config struct {
	// Rand is the source of hello randoms. Default: crypto/rand.
	Rand io.Reader
	// Time is the clock for certificate validity in Dial, Listen and the other
	// fronts. Default: time.Now. An Engine uses the now of its caller.
	Time func() time.Time

	// Certificates are the chains to authenticate with. Of those that fit the suites,
	// groups and signature schemes of the peer one for its server_name comes first, then
	// one whose signatures it can verify. OCSPStaple and SCTs are not used.
	Certificates []tls.Certificate
	// GetCertificate chooses a server's chain, before Certificates; as in crypto/tls not
	// for a client without server_name, if there are Certificates. The version
	// numbers in its argument are those of TLS (0x0304, 0x0303), so that its helper
	// methods work. It may block; the handshake waits.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// GetClientCertificate chooses a client's chain when the server asks. An
	// empty tls.Certificate sends none.
	GetClientCertificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// GetConfigForClient may return another Config for this client, or nil to
	// go on with this one. Its path, timer, limit and cookie fields have no
	// effect.
	//
	// It is called twice where a server asks for a cookie and the hello offers DTLS
	// 1.3: the answer to the first hello states version, cipher suite and group
	// (RFC 8446, Section 4.1.4). In that call AddressIsProven is false. The second
	// one is part of the handshake, and its Config decides all the rest; if it does
	// not allow what was chosen, the handshake ends with handshake_failure. A
	// Listener has the first call made on up to 8 goroutines, 2 for one address
	// prefix (IPv4 /24, IPv6 /56), for up to 256 hellos at a time, 64 of one prefix.
	// Others are answered from the Listener's own Config, see
	// ListenerStats.HellosInline. A Door calls it in Handle.
	//
	// The info's Context ends after CallbackTimeout. Its Conn has addresses only.
	GetConfigForClient func(*tls.ClientHelloInfo) (*Config, error)

	// RootCAs verify servers, ClientCAs verify clients. Default: the system's.
	RootCAs   *x509.CertPool
	ClientCAs *x509.CertPool
	// ClientAuth is a server's policy for client certificates.
	ClientAuth tls.ClientAuthType
	// ServerName is the host name or IP address that a client expects in the
	// server's certificate; names, not addresses, go into the hello (RFC 6066,
	// Section 3). Dial fills it in from the address.
	ServerName string
	// InsecureSkipVerify makes a client accept any certificate whose KeyUsage allows
	// signatures. For tests, or with VerifyPeerCertificate or VerifyConnection.
	InsecureSkipVerify bool
	// VerifyPeerCertificate is called after the normal verification, with no
	// verified chains if that was skipped, and without certificates for a client
	// that was asked for one and shows none. An error ends the handshake. Other than in
	// crypto/tls it is also called before a session is resumed, with the certificates
	// of then; an error leads to a full handshake.
	VerifyPeerCertificate func(rawCerts [][]byte, verifiedChains [][]*x509.Certificate) error
	// VerifyConnection is called last, also without a peer certificate, and after a
	// session was resumed. An error ends the handshake.
	VerifyConnection func(ConnectionState) error

	// NextProtos are the application protocols, preferred ones first (RFC 7301).
	NextProtos []string
	// CipherSuites in order of preference, IANA numbers. DTLS 1.2 and 1.3 have
	// different ones; a version of which the list names none has its default: all
	// suites with AEAD and (EC)DHE or PSK that fit the credentials, without those
	// of 8-byte tags. Otherwise suites that are not named are never used.
	// In FIPS 140-only mode (GODEBUG=fips140=only) the default is AES-GCM alone, and
	// naming others is an error.
	CipherSuites []uint16
	// CurvePreferences in order. Default: X25519MLKEM768, X25519, P-256, P-384,
	// P-521, SecP256r1MLKEM768, SecP384r1MLKEM1024; DTLS 1.2 has no use for the
	// hybrid ones. There a server uses an ECDSA certificate only if the client offers its
	// curve (RFC 8422, Section 5.1.1): X25519 alone excludes certificates on P-256. The server
	// ends with handshake_failure, as it does for lack of a group. The error of the client has
	// the groups that it has offered, if some were left out.
	// In FIPS 140-only mode X25519 without ML-KEM is left out, and naming it is an
	// error.
	CurvePreferences []tls.CurveID
	// RequirePQ allows hybrid post-quantum groups alone, and so DTLS 1.3 alone.
	RequirePQ bool
	// Hello chooses the size of the first ClientHello of DTLS 1.3. Default: HelloAuto.
	Hello HelloMode
	// SignatureSchemes that are offered and accepted, in order; of them the first in the
	// peer's order is used. Default: ECDSA, Ed25519, RSA-PSS and RSA-PKCS1 with SHA-2.
	SignatureSchemes []tls.SignatureScheme
	// MinVersion and MaxVersion are VersionDTLS12, VersionDTLS13 or 0. Default:
	// DTLS 1.2 and DTLS 1.3. The numbers count down.
	MinVersion, MaxVersion uint16
	// KeyLogWriter receives the secrets in NSS key log format, which decrypt
	// the traffic. Lines of concurrent handshakes do not mix. It is called with locks
	// held: it must not block, nor call methods of an association.
	KeyLogWriter io.Writer

	// ClientPSK returns the pre-shared keys for a server. DTLS 1.2 asks for them
	// when the server has given its hint, and uses the first; DTLS 1.3 asks
	// before the hello and offers all, for SHA-256 suites (RFC 8446, Section
	// 4.2.11). It may block, for at most CallbackTimeout.
	ClientPSK func(context.Context, ClientPSKInfo) ([]PSK, error)
	// ServerPSK returns the key of a client. (nil, nil) stands for an unknown
	// identity; on the wire that looks like a wrong key (RFC 4279, Section 2). A client
	// of DTLS 1.3 may offer several identities, of which the first 8 are looked up
	// until one is known, within one CallbackTimeout.
	ServerPSK func(context.Context, ServerPSKInfo) (*PSK, error)
	// PSKHint is the psk_identity_hint of a server, sent without protection, at most
	// 65535 bytes. Default: none. RFC 4279, Section 5.2: only
	// where both sides have agreed on what it means. Some clients fail at any.
	PSKHint []byte

	// PSKWithoutDHE lets pre-shared keys be used alone, without forward secrecy,
	// where a client of DTLS 1.3 offers nothing better (psk_ke, RFC 8446, Section
	// 4.2.9). For DTLS 1.2 CipherSuites decides.
	PSKWithoutDHE bool

	// Session is what a client resumes: the result of Conn.Session of an earlier
	// association, a secret. A session of DTLS 1.3 is offered once; if it is used
	// up, too old, of another version of this library or no session at all, for
	// another ServerName or for a protocol that NextProtos has not, or if what
	// authenticated the server would not do so any more, the handshake is a full one.
	// The same holds for the tickets of clients. Either side checks the certificates
	// of then, and calls VerifyPeerCertificate for them; a server calls ServerPSK, and
	// a client ClientPSK, for a pre-shared key. However often a session is resumed, a
	// full handshake is made a day after the one before, or with other servers seven
	// days after it. A client asks servers of DTLS 1.2 for tickets (RFC 5077) if it has
	// Session, ClientSessionCache or OnSession.
	Session []byte
	// ClientSessionCache keeps sessions for clients, by ServerName. Session comes
	// first. An Engine uses it as a Conn does, inside NewClientEngine and
	// HandleDatagram. Default: none.
	ClientSessionCache ClientSessionCache
	// OnSession receives the sessions that a server gives to the client, instead of
	// ClientSessionCache. It is called without locks held, and must
	// not block. An Engine has EventSession instead.
	OnSession func(*Conn, []byte)
	// SessionTicketsDisabled keeps a server from giving tickets and taking them.
	// Their keys are made and rotated by themselves, unless SetSessionTicketKeys
	// was called. A Config of GetConfigForClient for which it was not uses the keys of
	// the Config that has the callback.
	SessionTicketsDisabled bool
	shares                 *handshake.Shared

	// RecordSizeLimit is the largest protected record to receive, in bytes of content
	// and, in DTLS 1.3, the content type and the padding (RFC 8449): 64…16385. Default:
	// as large as records get, and a client does not say so.
	RecordSizeLimit int

	// MTU is the largest datagram to send at first, bytes of UDP payload.
	// Default: 1232. The smallest is 228.
	MTU int
	// MaxMTU is a ceiling for every later value. Default: none.
	MaxMTU int
	// MTUMode chooses what may lower the limit. Default: MTUAuto.
	MTUMode MTUMode
	// OnMTU is called when the limit changes; with MTUManual also for a verified
	// ICMP message, which changes no limit, with the size that this reports. It is
	// called without locks held and must not block.
	OnMTU func(PathInfo)
	// OnLargePacket decides for Dial, Accept and first Reads and Writes what
	// MTU to go on with after a refusal in a handshake. ok false ends it with
	// the error. Needed by Dial and Accept with MTUManual.
	OnLargePacket func(*LargePacketError) (mtu int, ok bool)

	// Retransmit has the timers of handshake flights. Default: RetransmitDefault.
	Retransmit RetransmitPolicy
	// HandshakeTimeout bounds a handshake, all calls of it together; a Listener's
	// from the hello on. Default: 60 s. −1: none.
	HandshakeTimeout time.Duration
	// IgnoreUnreachable makes Dial go on after ICMP messages "port unreachable", for a
	// server that may be started meanwhile. Default: Dial ends with an error that matches
	// syscall.ECONNREFUSED, some 250 ms after two messages have quoted its ClientHello,
	// where the system delivers the quote (Linux); see
	// Engine.PortUnreachable. A Client and an association that was accepted wait anyway.
	IgnoreUnreachable bool
	// CallbackTimeout bounds the contexts that ClientPSK and ServerPSK get, and those
	// of the infos of crypto/tls. They are children of the context of the call that
	// runs the handshake, and end when the Conn is closed. A callback that goes on
	// keeps its place in MaxHandshakes. Default: 5 s.
	CallbackTimeout time.Duration

	// DisableExtendedMasterSecret neither offers nor accepts RFC 7627.
	DisableExtendedMasterSecret bool
	// RequireExtendedMasterSecret refuses peers of DTLS 1.2 without RFC 7627.
	// nil means true, unless DisableExtendedMasterSecret is set.
	RequireExtendedMasterSecret *bool

	// ReplayWindow is the size of the replay window in records, 64…65536. Default: 256.
	ReplayWindow int
	// ReceiveQueue bounds the data that waits for Read, in bytes. Records
	// received while it is full are dropped and counted. Default: 64 KiB.
	ReceiveQueue int
	// MaxHandshakeSize bounds a handshake message of the peer, and all that is
	// kept of incomplete ones together, in bytes. Default: 64 KiB.
	MaxHandshakeSize int
	// MaxHandshakes bounds the handshakes that a Listener has under way. Over it,
	// a client of an address prefix (IPv4 /24, IPv6 /56) with fewer of them than
	// another has displaces the oldest of the prefix with the most, which ends
	// with ErrShed. Where no prefix has more than the client's own, it displaces
	// one that is older than 5 s, or else is not answered and may try again.
	// Default: 4096.
	MaxHandshakes int
	// MaxAssociations bounds the associations of a Listener, established and in
	// their handshake. Over it handshakes are displaced as by MaxHandshakes;
	// established associations are not. One whose peer has closed it does not count.
	// Default: no limit.
	MaxAssociations int
	// MaxPerPrefix bounds the associations of one address prefix (IPv4 /24, IPv6
	// /56) with a Listener, established and in their handshake. Over it a client
	// displaces a handshake of its prefix that is older than 5 s, or is not
	// answered. Many clients may share a prefix, behind one NAT even an address.
	// Default: no limit.
	MaxPerPrefix int

	// IdleTimeout ends an established association, with a close_notify and
	// ErrIdleTimeout, when no authentic record of the peer has come for so long.
	// Records sent do not count. Default: never.
	IdleTimeout time.Duration

	// Linger is how long after Close the last flight of the handshake is still
	// repeated, unless the peer has proved that it arrived: by application data, in
	// DTLS 1.3 by an ACK, or by its close_notify. The association is closed all the
	// same; its engine and transport stay. Of a Listener's associations at most
	// MaxHandshakes linger; the oldest end first. Default: twice Retransmit.Max, at most 4 minutes. Negative: none.
	Linger time.Duration

	// CookieMode chooses when a server asks for a cookie first (RFC 6347,
	// Section 4.2.1; RFC 9147, Section 5.1). Default: CookieAuto.
	CookieMode CookieMode
	// CookieKeys are secrets of 16 random bytes or more, at most three, that a
	// fleet of servers shares, so that each accepts the cookies of the others.
	// The first one makes cookies, all of them check. To replace one, append the
	// new one on all servers; then put it first; take the old one away a minute
	// after the last server has done so. The keys in use are derived from these
	// and change every 30 s by the wall clock: clocks must agree to half a
	// minute. Default: a random secret for each Listener, Door or engine.
	CookieKeys [][]byte
	// Trace has hooks for the events of associations.
	Trace *Trace
	// Logger receives a line for each event of Trace, with the role and the address of
	// the peer: failures at level Warn, the rest at level Debug. Nothing secret is
	// logged. It is called with locks held, as the hooks of Trace are. What panics on a
	// goroutine of the library is logged, too, at level Error.
	Logger *slog.Logger

	// NonDTLS receives the datagrams that are not DTLS by their first byte (RFC 7983,
	// Section 7: it is below 20 or above 63), such as STUN and RTP on
	// the same socket. Without it they are dropped. It is called on the goroutine
	// that reads the socket and must not block; p is valid until it returns.
	// Answers are written to the transport itself. An Endpoint uses that of
	// NewEndpoint's config, and none of Dial's and Listen's.
	NonDTLS func(p []byte, from net.Addr)

	// PlaintextAlerts chooses the effect of a fault in unauthenticated plaintext on a
	// handshake. Default: AlertsDelayed.
	PlaintextAlerts PlaintextAlerts
}

// Clone returns a copy that may be changed. Slices and functions are shared.
func (c *Config) Clone() *Config {
	if c == nil {
		return nil
	}
	c.shared() // tickets of one are good for the other
	clone := *c
	return &clone
}

// PSK is a pre-shared key with its identity, both arbitrary bytes.
type PSK struct {
	Identity []byte // at most 65535 bytes; compared whole
	Key      []byte // not empty
}

// ClientPSKInfo is what a client knows when a key is needed.
type ClientPSKInfo struct {
	ServerName string // Config.ServerName
	Hint       []byte // the server's hint, nil: none. Unauthenticated (RFC 4279, Section 5.2)
}

// ServerPSKInfo is what a server knows when a key is needed.
type ServerPSKInfo struct {
	Identity   []byte         // the client's, not authenticated yet
	ServerName string         // of the hello, "" if none
	RemoteAddr netip.AddrPort // invalid if the front does not know one
}

// HelloMode chooses the key shares of the first ClientHello of DTLS 1.3. A
// hybrid post-quantum share makes it larger than a datagram of 1232 bytes.
type HelloMode uint8

const (
	// HelloAuto: HelloFull if DTLS 1.2 is excluded or the address is proven
	// (CookieMode AddressProven), else HelloSmall: many servers of DTLS 1.2 alone
	// cannot join a hello that comes in fragments.
	HelloAuto HelloMode = iota
	// HelloSmall: one datagram, with a share of a classic group. A server that sends a
	// cookie can ask for a post-quantum share in the same HelloRetryRequest, without a
	// further round trip; other servers take the classic share.
	HelloSmall
	// HelloFull: shares for the preferred hybrid group and a classic one.
	HelloFull
)

// CookieMode chooses when a server answers a ClientHello with a cookie instead of a
// handshake. Until the address is proven no state is kept for it.
type CookieMode uint8

const (
	// CookieAuto: always on listeners; never on Server, whose net.Conn has
	// one peer that the caller chose.
	CookieAuto CookieMode = iota
	// CookieAlways: on Server and NewServerEngine too.
	CookieAlways
	// CookieUnderLoad: as CookieAlways on a listener while more than a quarter of
	// MaxHandshakes is under way or more than 200 hellos without a cookie come
	// in a second, else as CookieNever. It saves a round trip without load,
	// and begins up to 200 handshakes a second for unproven addresses. A
	// Server and an engine, which have one peer, are never under load.
	CookieUnderLoad
	// CookieNever: the handshake begins with the first hello. Until the client
	// has finished it gets at most three times the bytes it sent.
	CookieNever
	// AddressProven: something else, such as ICE, has proven the addresses.
	// No cookies, no limit.
	AddressProven
)

// PlaintextAlerts chooses when an alert or a malformed message without protection,
// which may be forged, ends a handshake.
type PlaintextAlerts uint8

const (
	// AlertsDelayed: if no valid message follows within one retransmission timer.
	AlertsDelayed PlaintextAlerts = iota
	// AlertsImmediate: at once.
	AlertsImmediate
	// AlertsIgnored: never; the handshake goes on until it times out.
	AlertsIgnored
)

// ConnectionState describes an association.
type ConnectionState struct {
	Version            uint16 // VersionDTLS12 or VersionDTLS13
	HandshakeComplete  bool
	DidResume          bool // an earlier session was resumed: PeerCertificates and PSKIdentity are those of then
	CipherSuite        uint16
	CurveID            tls.CurveID // group of the key exchange, 0: none
	NegotiatedProtocol string      // ALPN, "" if none
	ServerName         string      // client: Config.ServerName; server: of the hello
	PeerCertificates   []*x509.Certificate
	VerifiedChains     [][]*x509.Certificate

	ExtendedMasterSecret bool
	PSKIdentity          []byte              // nil unless an external pre-shared key authenticated
	SignatureScheme      tls.SignatureScheme // of the server's key exchange, 0: none

	export func(label string, context []byte, length int) ([]byte, error)
}

// learn takes over what a handshake has found out so far.
func (s *ConnectionState) learn(in *handshake.Info) {
	s.Version, s.CipherSuite, s.CurveID = in.Version, in.CipherSuite, in.CurveID
	s.NegotiatedProtocol, s.ServerName = in.NegotiatedProtocol, in.ServerName
	s.PeerCertificates, s.VerifiedChains, s.DidResume = in.PeerCertificates, in.VerifiedChains, in.DidResume
	s.ExtendedMasterSecret, s.PSKIdentity, s.SignatureScheme = in.ExtendedMasterSecret, in.PSKIdentity, in.SignatureScheme
}

// ExportKeyingMaterial is Conn.ExportKeyingMaterial.
func (s *ConnectionState) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	if s.export == nil {
		return nil, errHandshakeOngoing
	}
	return s.export(label, context, length)
}

// RetransmitPolicy has the timers of handshake flights. Zero fields take the
// value of RetransmitDefault.
type RetransmitPolicy struct {
	Initial  time.Duration // first timer while no round trip is measured (RFC 6347, Section 4.2.4.1; RFC 9147, Section 5.8.2)
	Min      time.Duration // lower bound of a measured timer
	Max      time.Duration // doubling ends here
	MaxTries int           // retransmissions of one flight without a sign of life
	Burst    int           // records sent back to back, the next after 1 ms; 0: 10. Repetitions: 5 datagrams at most, and longer pauses
	NoRTT    bool          // do not learn from round trips
}

// Presets of RetransmitPolicy: for the Internet, for media over a path that is
// known to be up, and for networks of constrained devices (RFC 7925, Section 11).
var (
	RetransmitDefault     = RetransmitPolicy{Initial: time.Second, Min: 200 * time.Millisecond, Max: time.Minute, MaxTries: 7, Burst: 10}
	RetransmitRealtime    = RetransmitPolicy{Initial: 400 * time.Millisecond, Min: 50 * time.Millisecond, Max: time.Minute, MaxTries: 9, Burst: 10}
	RetransmitConstrained = RetransmitPolicy{Initial: 9 * time.Second, Min: 9 * time.Second, Max: time.Minute, MaxTries: 5, Burst: 10}
)
