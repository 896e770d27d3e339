// A client on node-dtls-client: port=N suite=NAME psk=HEX identity=HEX
// Keys and identities are text there.
'use strict';
const { dtls } = require('node-dtls-client');
const { options, fail, established, heard } = require('./peer.cjs');

const text = (hex) => Buffer.from(hex, 'hex').toString('ascii');

const socket = dtls.createSocket({
  type: 'udp4',
  address: '127.0.0.1',
  port: Number(options.port),
  ciphers: [options.suite],
  psk: { [text(options.identity)]: text(options.psk) },
  timeout: 60000,
});
socket.on('connected', () => established((line) => socket.send(line)));
socket.on('message', heard);
socket.on('error', (err) => fail(err && err.stack));
socket.on('close', () => fail('closed'));
