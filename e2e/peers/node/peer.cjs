// What the clients in this directory share: name=value on the command line,
// lines of standard input that are sent, and what peer.h says about output.
'use strict';

const options = Object.fromEntries(process.argv.slice(2).map((arg) => {
  const at = arg.indexOf('=');
  return [arg.slice(0, at), arg.slice(at + 1)];
}));

function fail(why) {
  console.error('failed', why);
  process.exit(1);
}

// established prints that the handshake is complete, and sends lines from then
// on.
function established(send) {
  console.error('established');
  process.stdin.on('data', send).on('end', () => process.exit(0));
}

// heard prints application data.
const heard = (data) => console.log(data.toString('latin1'));

module.exports = { options, fail, established, heard };
