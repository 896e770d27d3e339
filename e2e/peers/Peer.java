import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.PortUnreachableException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.net.ssl.TrustManagerFactory;

/**
 * What the Java programs in this directory share: options, the socket, and what
 * is printed, as peer.h says. Application data is sent and received by one thread.
 */
abstract class Peer {
	/** The time in which a line of standard input is noticed. */
	private static final int MILLIS = 20;

	final boolean server;
	final int mtu;
	final DatagramSocket socket;
	private final Map<String, String> options = new HashMap<>();

	Peer(String[] args) throws IOException {
		server = args[0].equals("server");
		for (int i = 1; i < args.length; i++) {
			String[] option = args[i].split("=", 2);
			options.put(option[0], option[1]);
		}
		mtu = Integer.parseInt(option("mtu"));
		InetAddress local = InetAddress.getByName("127.0.0.1");
		int port = Integer.parseInt(option("port"));
		socket = new DatagramSocket(server ? port : 0, local);
		if (!server)
			socket.connect(local, port);
	}

	abstract void handshake() throws Exception;

	/** Makes a record of a line. */
	abstract void transmit(byte[] line) throws Exception;

	/** Returns application data, null if there is none within the time. */
	abstract byte[] receive(int millis) throws Exception;

	final void run() {
		Queue<String> lines = new ConcurrentLinkedQueue<>();
		Thread reader = new Thread(() -> read(lines));
		reader.setDaemon(true);
		reader.start();
		try {
			handshake();
			for (;;) {
				for (String line; (line = lines.poll()) != null;)
					transmit((line + "\n").getBytes(StandardCharsets.UTF_8));
				byte[] data = receive(MILLIS);
				if (data != null)
					System.out.println(new String(data, StandardCharsets.UTF_8));
			}
		} catch (Exception e) {
			say("failed " + e);
			e.printStackTrace();
			System.exit(1);
		}
	}

	private static void read(Queue<String> lines) {
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		try {
			for (String line; (line = in.readLine()) != null;)
				lines.add(line);
		} catch (IOException e) {
			say("failed " + e);
		}
		System.exit(0);
	}

	static void say(String line) {
		System.err.println(line);
	}

	final String option(String name) {
		return options.get(name);
	}

	/** Decodes an option, null if it is not there. */
	final byte[] bytes(String name) {
		String hex = option(name);
		return hex == null ? null : HexFormat.of().parseHex(hex);
	}

	/**
	 * Returns a datagram, null if there is none within the time; 0 is without end. A
	 * server stays with the first address there.
	 */
	final DatagramPacket datagram(byte[] buffer, int offset, int length, int millis) throws IOException {
		DatagramPacket packet = new DatagramPacket(buffer, offset, length);
		socket.setSoTimeout(millis);
		try {
			socket.receive(packet);
		} catch (SocketTimeoutException | PortUnreachableException e) {
			return null;
		}
		if (!socket.isConnected())
			socket.connect(packet.getSocketAddress());
		return packet;
	}

	final void send(byte[] buffer, int offset, int length) throws IOException {
		try {
			socket.send(new DatagramPacket(buffer, offset, length, (InetSocketAddress) socket.getRemoteSocketAddress()));
		} catch (PortUnreachableException e) {
			// Of a datagram before; this one is repeated like any that is lost.
		}
	}

	/** Returns the chain of an option, null if it is not there. */
	final X509Certificate[] certificates(String name) throws Exception {
		if (option(name) == null)
			return null;
		try (InputStream in = new FileInputStream(option(name))) {
			return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new X509Certificate[0]);
		}
	}

	/** Returns the key that belongs to a certificate. */
	final PrivateKey key(X509Certificate certificate) throws Exception {
		String pem = Files.readString(Path.of(option("key")));
		byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----.*-----", ""));
		String algorithm = certificate.getPublicKey().getAlgorithm();
		return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
	}

	/** Returns what trusts the root of an option. */
	final TrustManagerFactory trust(String name) throws Exception {
		KeyStore roots = KeyStore.getInstance("PKCS12");
		roots.load(null, null);
		roots.setCertificateEntry("root", certificates(name)[0]);
		TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
		factory.init(roots);
		return factory;
	}
}
