import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.DatagramPacket;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Vector;
import javax.net.ssl.X509TrustManager;
import org.bouncycastle.crypto.util.PrivateKeyFactory;
import org.bouncycastle.tls.AbstractTlsClient;
import org.bouncycastle.tls.AbstractTlsServer;
import org.bouncycastle.tls.AlertDescription;
import org.bouncycastle.tls.BasicTlsPSKIdentity;
import org.bouncycastle.tls.Certificate;
import org.bouncycastle.tls.CertificateRequest;
import org.bouncycastle.tls.ClientCertificateType;
import org.bouncycastle.tls.DTLSClientProtocol;
import org.bouncycastle.tls.DTLSRequest;
import org.bouncycastle.tls.DTLSServerProtocol;
import org.bouncycastle.tls.DTLSTransport;
import org.bouncycastle.tls.DTLSVerifier;
import org.bouncycastle.tls.DatagramTransport;
import org.bouncycastle.tls.NameType;
import org.bouncycastle.tls.ProtocolName;
import org.bouncycastle.tls.ProtocolVersion;
import org.bouncycastle.tls.SecurityParameters;
import org.bouncycastle.tls.ServerName;
import org.bouncycastle.tls.SignatureAlgorithm;
import org.bouncycastle.tls.TlsAuthentication;
import org.bouncycastle.tls.TlsContext;
import org.bouncycastle.tls.TlsCredentials;
import org.bouncycastle.tls.TlsFatalAlert;
import org.bouncycastle.tls.TlsPSKIdentity;
import org.bouncycastle.tls.TlsPSKIdentityManager;
import org.bouncycastle.tls.TlsServerCertificate;
import org.bouncycastle.tls.TlsUtils;
import org.bouncycastle.tls.crypto.TlsCertificate;
import org.bouncycastle.tls.crypto.TlsCryptoParameters;
import org.bouncycastle.tls.crypto.impl.bc.BcDefaultTlsCredentialedSigner;
import org.bouncycastle.tls.crypto.impl.bc.BcTlsCrypto;

/**
 * A DTLS 1.2 endpoint on Bouncy Castle 1.72; peer.h says how it is used. Its server
 * asks for a cookie, which covers the whole ClientHello.
 */
final class BouncyCastle extends Peer {
	private final BcTlsCrypto crypto = new BcTlsCrypto(new SecureRandom());
	private DTLSTransport transport;

	private BouncyCastle(String[] args) throws IOException {
		super(args);
	}

	public static void main(String[] args) throws IOException {
		new BouncyCastle(args).run();
	}

	@Override
	void handshake() throws Exception {
		if (server)
			transport = new DTLSServerProtocol().accept(new Server(), new Datagrams(), proven());
		else
			transport = new DTLSClientProtocol().connect(new Client(), new Datagrams());
	}

	@Override
	void transmit(byte[] line) throws IOException {
		transport.send(line, 0, line.length);
	}

	@Override
	byte[] receive(int millis) throws IOException {
		byte[] buffer = new byte[1 << 14];
		int n = transport.receive(buffer, 0, buffer.length, millis);
		return n < 0 ? null : Arrays.copyOf(buffer, n);
	}

	/** Answers ClientHellos until one has brought its cookie back. */
	private DTLSRequest proven() throws IOException {
		DTLSVerifier verifier = new DTLSVerifier(crypto);
		byte[] buffer = new byte[1 << 16];
		for (;;) {
			DatagramPacket hello = datagram(buffer, 0, buffer.length, 0);
			if (hello == null)
				continue;
			byte[] address = hello.getSocketAddress().toString().getBytes(StandardCharsets.UTF_8);
			DTLSRequest request = verifier.verifyRequest(address, buffer, 0, hello.getLength(), new Datagrams());
			if (request != null)
				return request;
		}
	}

	/** The socket, as the library wants it. */
	private final class Datagrams implements DatagramTransport {
		@Override
		public int getReceiveLimit() {
			return 1 << 16;
		}

		@Override
		public int getSendLimit() {
			return mtu;
		}

		@Override
		public int receive(byte[] buffer, int offset, int length, int millis) throws IOException {
			DatagramPacket packet = datagram(buffer, offset, length, millis);
			return packet == null ? -1 : packet.getLength();
		}

		@Override
		public void send(byte[] buffer, int offset, int length) throws IOException {
			BouncyCastle.this.send(buffer, offset, length);
		}

		@Override
		public void close() {
			socket.close();
		}
	}

	private int[] suites() {
		return new int[] {Integer.parseInt(option("suite"), 16)};
	}

	private Vector<ProtocolName> protocols() {
		String name = option("alpn");
		return name == null ? null : new Vector<>(List.of(ProtocolName.asUtf8Encoding(name)));
	}

	private static void established(TlsContext context) {
		SecurityParameters agreed = context.getSecurityParametersConnection();
		ProtocolVersion version = agreed.getNegotiatedVersion();
		say(String.format("established %s %04x", version.toString().replace("DTLS ", "DTLSv"), agreed.getCipherSuite()));
		if (agreed.getApplicationProtocol() != null)
			say("alpn " + agreed.getApplicationProtocol().getUtf8Decoding());
	}

	/** Returns the chain of ours with its key, null if there is none. */
	private TlsCredentials credentials(TlsContext context, Vector<?> schemes) throws IOException {
		try {
			X509Certificate[] chain = certificates("cert");
			if (chain == null)
				return null;
			TlsCertificate[] certificates = new TlsCertificate[chain.length];
			for (int i = 0; i < chain.length; i++)
				certificates[i] = crypto.createCertificate(chain[i].getEncoded());
			byte[] key = key(chain[0]).getEncoded();
			boolean rsa = chain[0].getPublicKey().getAlgorithm().equals("RSA");
			short algorithm = rsa ? SignatureAlgorithm.rsa : SignatureAlgorithm.ecdsa;
			return new BcDefaultTlsCredentialedSigner(new TlsCryptoParameters(context), crypto, PrivateKeyFactory.createKey(key),
					new Certificate(certificates), TlsUtils.chooseSignatureAndHashAlgorithm(context, schemes, algorithm));
		} catch (IOException e) {
			throw e;
		} catch (Exception e) {
			throw new IOException(e);
		}
	}

	/** Checks the peer's chain, and on a client the name in it. */
	private void verify(Certificate peer) throws IOException {
		try {
			X509Certificate[] chain = new X509Certificate[peer.getLength()];
			for (int i = 0; i < chain.length; i++)
				chain[i] = (X509Certificate) CertificateFactory.getInstance("X.509")
						.generateCertificate(new ByteArrayInputStream(peer.getCertificateAt(i).getEncoded()));
			X509TrustManager roots = (X509TrustManager) trust("ca").getTrustManagers()[0];
			if (server) {
				roots.checkClientTrusted(chain, "UNKNOWN");
				return;
			}
			roots.checkServerTrusted(chain, "UNKNOWN");
			if (chain[0].getSubjectAlternativeNames().stream().noneMatch(name -> name.get(1).equals(option("name"))))
				throw new IOException("no certificate for " + option("name"));
		} catch (Exception e) {
			throw new TlsFatalAlert(AlertDescription.bad_certificate, e);
		}
	}

	private final class Client extends AbstractTlsClient {
		Client() {
			super(BouncyCastle.this.crypto);
		}

		@Override
		protected ProtocolVersion[] getSupportedVersions() {
			return ProtocolVersion.DTLSv12.only();
		}

		@Override
		protected int[] getSupportedCipherSuites() {
			return suites();
		}

		@Override
		protected Vector<?> getProtocolNames() {
			return protocols();
		}

		@Override
		protected Vector<?> getSNIServerNames() {
			if (option("name") == null)
				return null;
			return new Vector<>(List.of(new ServerName(NameType.host_name, option("name").getBytes(StandardCharsets.US_ASCII))));
		}

		@Override
		public void notifyHandshakeComplete() throws IOException {
			super.notifyHandshakeComplete();
			established(context);
		}

		@Override
		public TlsPSKIdentity getPSKIdentity() {
			return new BasicTlsPSKIdentity(bytes("identity"), bytes("psk")) {
				@Override
				public void skipIdentityHint() {
					notifyIdentityHint(new byte[0]);
				}

				@Override
				public void notifyIdentityHint(byte[] hint) {
					say("hint " + HexFormat.of().formatHex(hint));
				}
			};
		}

		@Override
		public TlsAuthentication getAuthentication() {
			return new TlsAuthentication() {
				@Override
				public void notifyServerCertificate(TlsServerCertificate server) throws IOException {
					verify(server.getCertificate());
				}

				@Override
				public TlsCredentials getClientCredentials(CertificateRequest request) throws IOException {
					return credentials(context, request.getSupportedSignatureAlgorithms());
				}
			};
		}
	}

	private final class Server extends AbstractTlsServer {
		Server() {
			super(BouncyCastle.this.crypto);
		}

		@Override
		protected ProtocolVersion[] getSupportedVersions() {
			return ProtocolVersion.DTLSv12.only();
		}

		@Override
		protected int[] getSupportedCipherSuites() {
			return suites();
		}

		@Override
		protected Vector<?> getProtocolNames() {
			return protocols();
		}

		@Override
		public void notifyHandshakeComplete() throws IOException {
			super.notifyHandshakeComplete();
			established(context);
		}

		@Override
		public TlsPSKIdentityManager getPSKIdentityManager() {
			return new TlsPSKIdentityManager() {
				@Override
				public byte[] getHint() {
					return bytes("hint");
				}

				@Override
				public byte[] getPSK(byte[] identity) {
					say("identity " + HexFormat.of().formatHex(identity));
					return Arrays.equals(identity, bytes("identity")) ? bytes("psk") : null;
				}
			};
		}

		@Override
		public TlsCredentials getCredentials() throws IOException {
			return credentials(context, context.getSecurityParametersHandshake().getClientSigAlgs());
		}

		@Override
		public CertificateRequest getCertificateRequest() {
			if (option("ca") == null)
				return null;
			short[] types = {ClientCertificateType.ecdsa_sign, ClientCertificateType.rsa_sign};
			return new CertificateRequest(types, TlsUtils.getDefaultSupportedSignatureAlgorithms(context), null);
		}

		@Override
		public void notifyClientCertificate(Certificate client) throws IOException {
			if (client.isEmpty())
				throw new TlsFatalAlert(AlertDescription.handshake_failure);
			verify(client);
		}
	}
}
