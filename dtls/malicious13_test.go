package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Peers of DTLS 1.3 that have the right keys, or make the right ones, and say
// what they must not: an honest engine whose messages are changed before they
// are sealed (THREATS 18, 28, 29, 30, 32).

// tamper changes the next message of a type that a side sends.
func tamper(from side, typ message.Type, change func(body []byte) []byte) func(*sim) {
	return func(s *sim) {
		done := false
		before := s.beforeSend
		s.beforeSend = func(at side) {
			if before != nil {
				before(at)
			}
			msgs := s.eng[at].out.flight.msgs
			for i := range msgs {
				if at == from && !done && msgs[i].typ == typ {
					done = true
					msgs[i].body = change(bytes.Clone(msgs[i].body))
				}
			}
		}
	}
}

// tamperAs is tamper for a parsed message.
func tamperAs[M message.Message](from side, typ message.Type, change func(M)) func(*sim) {
	return tamper(from, typ, func(body []byte) []byte {
		m, err := message.Parse(typ, message.TLS13, body)
		if err != nil {
			panic(err)
		}
		change(m.(M))
		out, err := m.AppendBody(nil)
		if err != nil {
			panic(err)
		}
		return out
	})
}

// addExtension adds one to a list of extensions with a length of two bytes that
// ends a body.
func addExtension(at int, t uint16, data ...byte) func([]byte) []byte {
	return func(body []byte) []byte {
		if at < 0 {
			at = 2 + 32 + 1 + int(body[34]) + 3
		}
		body = append(body, byte(t>>8), byte(t), byte(len(data)>>8), byte(len(data)))
		body = append(body, data...)
		n := len(body) - at - 2
		body[at], body[at+1] = byte(n>>8), byte(n)
		return body
	}
}

// insertAfter has a side send one more message behind one of a type, in the same
// epoch, and so in the same record where there is room.
func insertAfter(from side, typ, extra message.Type, body ...byte) func(*sim) {
	return func(s *sim) {
		done := false
		s.beforeSend = func(at side) {
			e := s.eng[at]
			for i := range e.out.flight.msgs {
				if m := &e.out.flight.msgs[i]; at == from && !done && m.typ == typ {
					done = true
					more := outMessage{typ: extra, seq: m.seq + 1, epoch: m.epoch, body: body}
					e.out.flight.msgs = slices.Insert(e.out.flight.msgs, i+1, more)
					for j := i + 2; j < len(e.out.flight.msgs); j++ {
						e.out.flight.msgs[j].seq++
					}
					return
				}
			}
		}
	}
}

// cutAway has a side leave out a message.
func cutAway(from side, typ message.Type) func(*sim) {
	return func(s *sim) {
		s.beforeSend = func(at side) {
			e := s.eng[at]
			for i := range e.out.flight.msgs {
				if at == from && e.out.flight.msgs[i].typ == typ {
					e.out.flight.msgs = slices.Delete(e.out.flight.msgs, i, i+1)
					for j := i; j < len(e.out.flight.msgs); j++ {
						e.out.flight.msgs[j].seq--
					}
					return
				}
			}
		}
	}
}

type (
	encrypted   = *message.EncryptedExtensions
	certificate = *message.Certificate13
	request13   = *message.CertificateRequest13
	verify      = *message.CertificateVerify
)

// certConfigs13 believe faults at once and cut nothing.
func certConfigs13(key dtlstest.Key) (client, server *Config) {
	client, server = certConfigs(key)
	for _, c := range []*Config{client, server} {
		c.MinVersion, c.MaxVersion = VersionDTLS13, VersionDTLS13
	}
	return client, server
}

func TestMaliciousPeers13(t *testing.T) {
	mutual := func(c, s *Config) {
		c.Certificates, s.ClientAuth = s.Certificates, tls.RequireAndVerifyClientCert
	}
	psk := func(c, s *Config) { withPSK(c, s); s.Certificates = nil }
	retry := func(c, s *Config) { s.CurvePreferences = []tls.CurveID{tls.CurveP384} }
	both := func(c, s *Config) { c.MinVersion, s.MinVersion = 0, 0 }
	onSH := func(change func(serverHello)) func(*sim) {
		return tamperAs(serverSide, message.TypeServerHello, change)
	}
	onCH := func(change func(clientHello)) func(*sim) { return onClientHello(change) }
	onEE := func(change func(encrypted)) func(*sim) {
		return tamperAs(serverSide, message.TypeEncryptedExtensions, change)
	}
	withEE := func(t uint16, data ...byte) func(*sim) {
		return tamper(serverSide, message.TypeEncryptedExtensions, addExtension(0, t, data...))
	}
	withSH := func(t uint16, data ...byte) func(*sim) {
		return tamper(serverSide, message.TypeServerHello, addExtension(-1, t, data...))
	}
	onCert := func(from side, change func(certificate)) func(*sim) {
		return tamperAs(from, message.TypeCertificate, change)
	}
	onCV := func(from side, change func(verify)) func(*sim) {
		return tamperAs(from, message.TypeCertificateVerify, change)
	}
	for _, test := range []struct {
		name    string
		configs func(client, server *Config)
		middle  func(*sim)
		finder  side
		want    Alert
	}{
		// ServerHello: RFC 8446, Section 4.1.3.
		{"suite that was not offered", func(c, _ *Config) { c.CipherSuites = []uint16{0x1301} }, onSH(func(h serverHello) { h.CipherSuite = 0x1302 }), clientSide, alert.IllegalParameter},
		{"suite of DTLS 1.2", both, onSH(func(h serverHello) { h.CipherSuite = 0xc02b }), clientSide, alert.IllegalParameter},
		{"suite that nobody speaks", nil, onSH(func(h serverHello) { h.CipherSuite = 0x13ff }), clientSide, alert.IllegalParameter},
		{"session id echoed", nil, onSH(func(h serverHello) { h.SessionID = []byte{1, 2, 3} }), clientSide, alert.IllegalParameter},
		{"legacy_version of DTLS 1.3", nil, onSH(func(h serverHello) { h.Version = VersionDTLS13 }), clientSide, alert.IllegalParameter},
		{"legacy_version of TLS", nil, onSH(func(h serverHello) { h.Version = tls.VersionTLS12 }), clientSide, alert.IllegalParameter},
		{"compression", nil, tamper(serverSide, message.TypeServerHello, func(b []byte) []byte { b[37] = 1; return b }), clientSide, alert.IllegalParameter},
		{"selected version of TLS 1.3", nil, onSH(func(h serverHello) { h.SupportedVersion = tls.VersionTLS13 }), clientSide, alert.IllegalParameter},
		{"selected version of DTLS 1.2", both, onSH(func(h serverHello) { h.SupportedVersion = VersionDTLS12 }), clientSide, alert.IllegalParameter},
		{"group without a share", nil, onSH(func(h serverHello) { h.KeyShare.Group = 24 }), clientSide, alert.IllegalParameter},
		{"group that nobody speaks", nil, onSH(func(h serverHello) { h.KeyShare.Group = 0x7a7a }), clientSide, alert.IllegalParameter},
		{"share of the wrong length", nil, onSH(func(h serverHello) { h.KeyShare.Data = h.KeyShare.Data[1:] }), clientSide, alert.IllegalParameter},
		{"share of zeros", func(c, _ *Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }, onSH(func(h serverHello) { clear(h.KeyShare.Data) }), clientSide, alert.IllegalParameter},
		{"point that is not on the curve", func(c, _ *Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, onSH(func(h serverHello) { h.KeyShare.Data[5] ^= 1 }), clientSide, alert.IllegalParameter},
		{"no share", nil, onSH(func(h serverHello) { h.KeyShare, h.HasKeyShare = message.KeyShare{}, false }), clientSide, alert.MissingExtension},
		{"pre-shared key when none was offered", nil, onSH(func(h serverHello) { h.HasSelectedPSK = true }), clientSide, alert.UnsupportedExtension},
		{"pre-shared key out of range", psk, onSH(func(h serverHello) { h.SelectedPSK = 1 }), clientSide, alert.IllegalParameter},
		{"psk_ke when it was not offered", psk, onSH(func(h serverHello) { h.KeyShare, h.HasKeyShare = message.KeyShare{}, false }), clientSide, alert.IllegalParameter},
		{"pre-shared key with another hash", psk, onSH(func(h serverHello) { h.CipherSuite = 0x1302 }), clientSide, alert.IllegalParameter},
		{"unknown extension", nil, withSH(0x7a7a), clientSide, alert.UnsupportedExtension},
		{"connection_id", nil, withSH(message.ExtensionConnectionID, 0), clientSide, alert.UnsupportedExtension},
		{"ALPN in the ServerHello", func(c, _ *Config) { c.NextProtos = []string{"a"} }, withSH(message.ExtensionALPN, 0, 2, 1, 'a'), clientSide, alert.IllegalParameter},
		{"supported_versions twice", nil, withSH(message.ExtensionSupportedVersions, 0xfe, 0xfc), clientSide, alert.IllegalParameter},
		{"cookie in a ServerHello", nil, withSH(message.ExtensionCookie, 0, 1, 1), clientSide, alert.IllegalParameter},
		{"server_hello in DTLS 1.2 behind a retry", func(c, s *Config) { both(c, s); retry(c, s) }, func(s *sim) {
			tampered := 0
			s.beforeSend = func(at side) {
				for i := range s.eng[at].out.flight.msgs {
					m := &s.eng[at].out.flight.msgs[i]
					if at == serverSide && m.typ == message.TypeServerHello && m.seq == 1 && tampered == 0 {
						tampered++
						h := &message.ServerHello{Version: VersionDTLS12, CipherSuite: 0xc02b, Random: [32]byte{1}, ExtendedMasterSecret: true, HasRenegotiationInfo: true}
						m.body, _ = h.AppendBody(nil)
					}
				}
			}
		}, clientSide, alert.IllegalParameter},

		// HelloRetryRequest: RFC 8446, Section 4.1.4.
		{"retry for a group that has a share", retry, onSH(func(h serverHello) { h.SelectedGroup = 29 }), clientSide, alert.IllegalParameter},
		{"retry for a group that was not offered", func(c, s *Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}; retry(c, s) }, onSH(func(h serverHello) { h.SelectedGroup = 25 }), clientSide, alert.IllegalParameter},
		{"retry that asks for nothing", retry, onSH(func(h serverHello) { h.SelectedGroup = 0 }), clientSide, alert.IllegalParameter},
		{"retry with a session id", retry, onSH(func(h serverHello) { h.SessionID = []byte{1} }), clientSide, alert.IllegalParameter},
		{"retry with an unknown extension", retry, withSH(0x7a7a), clientSide, alert.UnsupportedExtension},
		{"retry with a pre_shared_key", retry, withSH(message.ExtensionPreSharedKey, 0, 0), clientSide, alert.IllegalParameter},
		{"retry for a suite that was not offered", func(c, s *Config) { retry(c, s); c.CipherSuites = []uint16{0x1301} }, onSH(func(h serverHello) { h.CipherSuite = 0x1303 }), clientSide, alert.IllegalParameter},
		{"another suite than that of the retry", retry, onSH(func(h serverHello) { h.CipherSuite = 0x1303 }), clientSide, alert.IllegalParameter},

		// EncryptedExtensions: RFC 8446, Section 4.3.1.
		{"protocol when none was offered", nil, onEE(func(m encrypted) { m.ALPN = "b" }), clientSide, alert.UnsupportedExtension},
		{"protocol that was not offered", func(c, _ *Config) { c.NextProtos = []string{"a"} }, onEE(func(m encrypted) { m.ALPN = "b" }), clientSide, alert.IllegalParameter},
		{"record_size_limit that was not offered", nil, onEE(func(m encrypted) { m.RecordSizeLimit = 1000 }), clientSide, alert.UnsupportedExtension},
		{"server_name when none was sent", func(c, _ *Config) { c.ServerName = "127.0.0.1"; c.InsecureSkipVerify = true }, withEE(message.ExtensionServerName), clientSide, alert.UnsupportedExtension},
		{"key_share in encrypted_extensions", nil, withEE(message.ExtensionKeyShare, 0, 29, 0, 1, 1), clientSide, alert.IllegalParameter},
		{"supported_versions in encrypted_extensions", nil, withEE(message.ExtensionSupportedVersions, 0xfe, 0xfc), clientSide, alert.IllegalParameter},
		{"cookie in encrypted_extensions", nil, withEE(message.ExtensionCookie, 0, 1, 1), clientSide, alert.IllegalParameter},
		{"pre_shared_key in encrypted_extensions", nil, withEE(message.ExtensionPreSharedKey, 0, 0), clientSide, alert.IllegalParameter},
		{"extended_master_secret in encrypted_extensions", nil, withEE(message.ExtensionExtendedMasterSecret), clientSide, alert.IllegalParameter},
		{"early_data that was not offered", nil, withEE(message.ExtensionEarlyData), clientSide, alert.UnsupportedExtension},
		{"use_srtp that was not offered", nil, withEE(message.ExtensionUseSRTP, 0, 2, 0, 1, 0), clientSide, alert.UnsupportedExtension},
		{"unknown extension in encrypted_extensions", nil, withEE(0x7a7a), clientSide, alert.UnsupportedExtension},
		{"trailing bytes in encrypted_extensions", nil, tamper(serverSide, message.TypeEncryptedExtensions, func(b []byte) []byte { return append(b, 0) }), clientSide, alert.DecodeError},
		{"encrypted_extensions left out", nil, cutAway(serverSide, message.TypeEncryptedExtensions), clientSide, alert.UnexpectedMessage},

		// CertificateRequest and Certificate: RFC 8446, Sections 4.3.2 and 4.4.2.
		{"request with a context", mutual, tamperAs(serverSide, message.TypeCertificateRequest, func(m request13) { m.Context = []byte{1} }), clientSide, alert.IllegalParameter},
		{"request without signature_algorithms", mutual, tamper(serverSide, message.TypeCertificateRequest, func([]byte) []byte { return []byte{0, 0, 0} }), clientSide, alert.MissingExtension},
		{"request twice", mutual, insertAfter(serverSide, message.TypeCertificateRequest, message.TypeCertificateRequest, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3), clientSide, alert.UnexpectedMessage},
		{"request beside a pre-shared key", psk, insertAfter(serverSide, message.TypeEncryptedExtensions, message.TypeCertificateRequest, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3), clientSide, alert.UnexpectedMessage},
		{"server without a certificate", nil, onCert(serverSide, func(m certificate) { m.Chain = nil }), clientSide, alert.DecodeError},
		{"server's certificate with a context", nil, onCert(serverSide, func(m certificate) { m.Context = []byte{1} }), clientSide, alert.IllegalParameter},
		{"server's certificate that is none", nil, onCert(serverSide, func(m certificate) { m.Chain = [][]byte{{1, 2, 3}} }), clientSide, alert.BadCertificate},
		{"certificate of the server left out", nil, cutAway(serverSide, message.TypeCertificate), clientSide, alert.UnexpectedMessage},
		{"certificate_verify of the server left out", nil, cutAway(serverSide, message.TypeCertificateVerify), clientSide, alert.UnexpectedMessage},
		{"certificate of the server twice", nil, insertAfter(serverSide, message.TypeCertificate, message.TypeCertificate, 0, 0, 0, 0), clientSide, alert.UnexpectedMessage},
		{"status_request that was not asked for", nil, tamper(serverSide, message.TypeCertificate, func(b []byte) []byte {
			b = append(b[:len(b)-2], 0, 8, 0, 5, 0, 4, 1, 0, 0, 0)
			n := len(b) - 4
			b[1], b[2], b[3] = byte(n>>16), byte(n>>8), byte(n)
			return b
		}), clientSide, alert.UnsupportedExtension},
		{"client without the required certificate", mutual, onCert(clientSide, func(m certificate) { m.Chain = nil }), serverSide, alert.CertificateRequired},
		{"client's certificate with a context", mutual, onCert(clientSide, func(m certificate) { m.Context = []byte{1} }), serverSide, alert.IllegalParameter},
		{"client's certificate_verify left out", mutual, cutAway(clientSide, message.TypeCertificateVerify), serverSide, alert.UnexpectedMessage},
		{"client's certificate left out", mutual, cutAway(clientSide, message.TypeCertificate), serverSide, alert.UnexpectedMessage},
		{"certificate that was not asked for", nil, func(s *sim) {
			s.beforeSend = func(at side) {
				e := s.eng[at]
				if n := len(e.out.flight.msgs); at == clientSide && n == 1 && e.out.flight.msgs[0].typ == message.TypeFinished {
					m := e.out.flight.msgs[0]
					m.typ, m.body = message.TypeCertificate, []byte{0, 0, 0, 0}
					e.out.flight.msgs[0].seq++
					e.out.flight.msgs = append([]outMessage{m}, e.out.flight.msgs...)
				}
			}
		}, serverSide, alert.UnexpectedMessage},

		// CertificateVerify: RFC 8446, Section 4.4.3.
		{"scheme that was not offered", func(c, _ *Config) { c.SignatureSchemes = []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256} }, onCV(serverSide, func(m verify) { m.Scheme = 0x0503 }), clientSide, alert.IllegalParameter},
		{"SHA-1 scheme", nil, onCV(serverSide, func(m verify) { m.Scheme = 0x0203 }), clientSide, alert.IllegalParameter},
		{"PKCS #1 scheme", nil, onCV(serverSide, func(m verify) { m.Scheme = 0x0401 }), clientSide, alert.IllegalParameter},
		{"scheme of another key", nil, onCV(serverSide, func(m verify) { m.Scheme = 0x0804 }), clientSide, alert.IllegalParameter},
		{"wrong signature", nil, onCV(serverSide, func(m verify) { m.Signature[9] ^= 1 }), clientSide, alert.DecryptError},
		{"client's SHA-1 scheme", mutual, onCV(clientSide, func(m verify) { m.Scheme = 0x0203 }), serverSide, alert.IllegalParameter},
		{"client's wrong signature", mutual, onCV(clientSide, func(m verify) { m.Signature[9] ^= 1 }), serverSide, alert.DecryptError},

		// Finished, and what is out of place.
		{"wrong finished of the server", nil, tamper(serverSide, message.TypeFinished, func(b []byte) []byte { b[3] ^= 1; return b }), clientSide, alert.DecryptError},
		{"short finished of the server", nil, tamper(serverSide, message.TypeFinished, func(b []byte) []byte { return b[:12] }), clientSide, alert.DecodeError},
		{"wrong finished of the client", nil, tamper(clientSide, message.TypeFinished, func(b []byte) []byte { b[3] ^= 1; return b }), serverSide, alert.DecryptError},
		{"finished of a pre-shared key left out", psk, cutAway(serverSide, message.TypeEncryptedExtensions), clientSide, alert.UnexpectedMessage},
		{"key_update in the handshake", nil, insertAfter(serverSide, message.TypeEncryptedExtensions, message.TypeKeyUpdate, 0), clientSide, alert.UnexpectedMessage},
		{"end_of_early_data", nil, func(s *sim) {
			s.beforeSend = func(at side) {
				e := s.eng[at]
				if n := len(e.out.flight.msgs); at == clientSide && n == 1 && e.out.flight.msgs[0].typ == message.TypeFinished {
					m := e.out.flight.msgs[0]
					m.typ, m.body = message.TypeEndOfEarlyData, nil
					e.out.flight.msgs[0].seq++
					e.out.flight.msgs = append([]outMessage{m}, e.out.flight.msgs...)
				}
			}
		}, serverSide, alert.UnexpectedMessage},
		{"server's message behind its finished", nil, insertAfter(serverSide, message.TypeFinished, message.TypeKeyUpdate, 0), clientSide, alert.UnexpectedMessage},
		{"client's message behind its finished", nil, insertAfter(clientSide, message.TypeFinished, message.TypeKeyUpdate, 0), serverSide, alert.UnexpectedMessage},

		// ClientHello: RFC 8446, Section 4.1.2 and 9.2, RFC 9147, Section 5.3.
		{"no suite in common", nil, onCH(func(h clientHello) { h.CipherSuites = []uint16{0xc02b, 0x13ff} }), serverSide, alert.HandshakeFailure},
		{"no group in common", nil, onCH(func(h clientHello) { h.SupportedGroups = []uint16{0x7a7a}; h.KeyShares = nil; h.HasKeyShares = true }), serverSide, alert.HandshakeFailure},
		{"client without key_share", nil, onCH(func(h clientHello) { h.KeyShares, h.HasKeyShares = nil, false }), serverSide, alert.MissingExtension},
		{"client without supported_groups", nil, onCH(func(h clientHello) { h.SupportedGroups = nil }), serverSide, alert.MissingExtension},
		{"client without signature_algorithms", nil, onCH(func(h clientHello) { h.SignatureSchemes = nil }), serverSide, alert.MissingExtension},
		{"client without schemes in common", nil, onCH(func(h clientHello) { h.SignatureSchemes = []uint16{0x0203} }), serverSide, alert.HandshakeFailure},
		{"client's share of the wrong length", nil, onCH(func(h clientHello) { h.KeyShares[0].Data = h.KeyShares[0].Data[1:] }), serverSide, alert.IllegalParameter},
		{"legacy_cookie", nil, onCH(func(h clientHello) { h.Cookie = make([]byte, 16) }), serverSide, alert.IllegalParameter},
		{"cookie that nobody asked for", nil, onCH(func(h clientHello) { h.RetryCookie = make([]byte, 16) }), serverSide, alert.IllegalParameter},
		{"compression methods", nil, func(s *sim) {
			s.rewrite(message.TypeClientHello, func(body []byte) []byte {
				at := 2 + 32 + 1 + 1
				at += 2 + int(body[at])<<8 + int(body[at+1])
				body[at] = 2
				return slices.Insert(body, at+1, 1)
			})
		}, serverSide, alert.IllegalParameter},
		{"no protocol in common", func(c, s *Config) { c.NextProtos, s.NextProtos = []string{"a"}, []string{"b"} }, nil, serverSide, alert.NoApplicationProtocol},

		// Pre-shared keys: RFC 8446, Section 4.2.11.
		{"wrong binder", psk, onCH(func(h clientHello) { h.Binders[0][0] ^= 1 }), serverSide, alert.DecryptError},
		{"binder of another hello", psk, onCH(func(h clientHello) { h.Random[0] ^= 1 }), serverSide, alert.DecryptError},
		{"binder of another length", psk, onCH(func(h clientHello) { h.Binders[0] = append(h.Binders[0], make([]byte, 16)...) }), serverSide, alert.DecryptError},
		{"other key of the client", func(c, s *Config) {
			psk(c, s)
			c.ClientPSK = pskOf(PSK{Identity: testPSK.Identity, Key: []byte("other")})
		}, nil, serverSide, alert.DecryptError},
		{"unknown identity", func(c, s *Config) {
			psk(c, s)
			c.ClientPSK = pskOf(PSK{Identity: []byte("nobody"), Key: []byte("other")})
		}, nil, serverSide, alert.DecryptError},
		{"pre_shared_key that is not the last extension", psk, func(s *sim) {
			s.rewrite(message.TypeClientHello, func(body []byte) []byte {
				at := 2 + 32 + 1 + 1
				at += 2 + int(body[at])<<8 + int(body[at+1])
				at += 1 + int(body[at])
				return addExtension(at, 0x7a7a)(body)
			})
		}, serverSide, alert.IllegalParameter},
		{"identities without modes", psk, func(s *sim) {
			s.rewrite(message.TypeClientHello, func(body []byte) []byte {
				i := bytes.Index(body, []byte{0, 45, 0, 2, 1, 1})
				body[i], body[i+1] = 0x7a, 0x7a
				return body
			})
		}, serverSide, alert.MissingExtension},
		{"no mode that we use", psk, onCH(func(h clientHello) { h.PSKModes = []byte{0} }), serverSide, alert.DecryptError},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := certConfigs13(dtlstest.P256)
			if test.configs != nil {
				test.configs(client, server)
			}
			s := newSim(t, client, server)
			if test.middle != nil {
				test.middle(s)
			}
			s.refuses13(test.finder, test.want)
		})
	}
}

// refuses13 is refuses for associations of which the other side may have been
// established before the fault was found.
func (s *sim) refuses13(finder side, want Alert) {
	s.t.Helper()
	s.run(2*time.Minute, func() bool { return s.eng[0].Err() != nil && s.eng[1].Err() != nil })
	for _, at := range []side{finder, finder.other()} {
		if s.eng[at].Err() == nil {
			s.t.Fatalf("%v lives, want %v found by the %v\n%s", s.eng[at], want, finder, s.history())
		}
		if at != finder && errors.Is(s.eng[at].Err(), ErrHandshakeTimeout) {
			continue // the alert came under keys that its handshake did not get to
		}
		a, remote := alertOf(s.t, s.eng[at])
		if a != want || remote == (at == finder) {
			s.t.Errorf("%s: %v, want %v found by the %s\n%s", at, s.eng[at].Err(), want, finder, s.history())
		}
	}
}
