import java.io.IOException;
import java.net.DatagramPacket;
import java.nio.ByteBuffer;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLEngineResult.Status;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManager;

/**
 * A DTLS 1.2 endpoint on the SSLEngine of OpenJDK; peer.h says how it is used. There
 * are no pre-shared keys in it, and a suite has its name of IANA. One more option,
 * slow=N, delays each task of the engine by N milliseconds: the time that a
 * device or a module with the key may need.
 */
final class JSSE extends Peer {
	private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);
	private static final int FIRST_TIMER = 1000;
	private static final int LAST_TIMER = 60000;

	private final ByteBuffer data = ByteBuffer.allocate(1 << 16); // received, not returned yet
	private SSLEngine engine;

	private JSSE(String[] args) throws IOException {
		super(args);
	}

	public static void main(String[] args) throws IOException {
		new JSSE(args).run();
	}

	@Override
	void handshake() throws Exception {
		engine = engine();
		engine.beginHandshake();
		int timer = server ? 0 : FIRST_TIMER; // a server waits for a ClientHello first
		for (settle(); engine.getHandshakeStatus() != HandshakeStatus.NOT_HANDSHAKING; settle()) {
			ByteBuffer datagram = datagram(timer);
			if (datagram != null) {
				take(datagram);
				timer = FIRST_TIMER;
			} else {
				wrap(NOTHING); // once more
				timer = Math.min(2 * timer, LAST_TIMER);
			}
		}
		say("established " + engine.getSession().getProtocol() + " " + engine.getSession().getCipherSuite());
		if (!engine.getApplicationProtocol().isEmpty())
			say("alpn " + engine.getApplicationProtocol());
	}

	private SSLEngine engine() throws Exception {
		KeyManager[] keys = null;
		X509Certificate[] chain = certificates("cert");
		if (chain != null) {
			KeyStore store = KeyStore.getInstance("PKCS12");
			store.load(null, null);
			store.setKeyEntry("own", key(chain[0]), new char[0], chain);
			KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
			factory.init(store, new char[0]);
			keys = factory.getKeyManagers();
		}
		TrustManager[] roots = option("ca") == null ? null : trust("ca").getTrustManagers();
		SSLContext context = SSLContext.getInstance("DTLS");
		context.init(keys, roots, null);
		SSLEngine engine = context.createSSLEngine(option("name"), socket.getPort());
		engine.setUseClientMode(!server);
		SSLParameters parameters = engine.getSSLParameters();
		parameters.setCipherSuites(new String[] {option("suite")});
		parameters.setMaximumPacketSize(mtu);
		if (server)
			parameters.setNeedClientAuth(roots != null);
		else
			parameters.setEndpointIdentificationAlgorithm("HTTPS");
		if (option("alpn") != null)
			parameters.setApplicationProtocols(new String[] {option("alpn")});
		engine.setSSLParameters(parameters);
		return engine;
	}

	@Override
	void transmit(byte[] line) throws Exception {
		wrap(ByteBuffer.wrap(line));
	}

	@Override
	byte[] receive(int millis) throws Exception {
		ByteBuffer datagram = datagram(millis);
		if (datagram != null) {
			take(datagram);
			settle(); // a last flight may be asked for again
		}
		byte[] received = Arrays.copyOf(data.array(), data.position());
		data.clear();
		return received.length == 0 ? null : received;
	}

	private ByteBuffer datagram(int millis) throws IOException {
		byte[] buffer = new byte[1 << 16];
		DatagramPacket packet = datagram(buffer, 0, buffer.length, millis);
		return packet == null ? null : ByteBuffer.wrap(buffer, 0, packet.getLength());
	}

	/** Hands the records of a datagram to the engine. */
	private void take(ByteBuffer datagram) throws Exception {
		while (datagram.hasRemaining()) {
			settle();
			unwrap(datagram);
		}
	}

	/** Does all that the engine asks for, but for datagrams. */
	private void settle() throws Exception {
		for (;;) {
			switch (engine.getHandshakeStatus()) {
			case NEED_TASK:
				for (Runnable task; (task = engine.getDelegatedTask()) != null;) {
					if (option("slow") != null)
						Thread.sleep(Long.parseLong(option("slow")));
					task.run();
				}
				break;
			case NEED_WRAP:
				wrap(NOTHING);
				break;
			case NEED_UNWRAP_AGAIN:
				unwrap(NOTHING);
				break;
			default:
				return;
			}
		}
	}

	private void wrap(ByteBuffer line) throws Exception {
		ByteBuffer record = ByteBuffer.allocate(1 << 16);
		check(engine.wrap(line, record));
		if (record.position() > 0)
			send(record.array(), 0, record.position());
	}

	private void unwrap(ByteBuffer datagram) throws Exception {
		check(engine.unwrap(datagram, data));
	}

	private static void check(SSLEngineResult result) throws IOException {
		if (result.getStatus() != Status.OK)
			throw new IOException(result.toString());
	}
}
