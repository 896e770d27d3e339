// A client on @nodertc/dtls:
//   port=N suite=NAME [psk=HEX identity=HEX]
'use strict';
const dtls = require('@nodertc/dtls');
const { options, fail, established, heard } = require('./peer.cjs');

const config = {
  type: 'udp4',
  remoteAddress: '127.0.0.1',
  remotePort: Number(options.port),
  cipherSuites: [options.suite],
  maxHandshakeRetransmissions: 8,
  checkServerIdentity: () => true,
};
if (options.psk) {
  config.pskIdentity = Buffer.from(options.identity, 'hex');
  config.pskSecret = Buffer.from(options.psk, 'hex');
}
const socket = dtls.connect(config);
socket.on('connect', () => established((line) => socket.write(line)));
socket.on('data', heard);
socket.on('error', (err) => fail(err && err.stack));
socket.on('timeout', () => fail('timeout'));
