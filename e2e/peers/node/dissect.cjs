// Has Wireshark read captures: node dissect.cjs CAPTURE KEYLOG [CAPTURE KEYLOG]…
//
// Prints a list of JSON for each capture, with an object for each packet:
//   port     it was sent from
//   info     what Wireshark says in one line
//   doubts   the text of all that it could not decrypt, and of what it marks as
//            malformed, as an error or as worth a warning
const fs = require('fs')
const path = require('path')

const dist = path.dirname(require.resolve('@goodtools/wiregasm/dist/wiregasm.wasm'))
const part = (name) => fs.readFileSync(path.join(dist, name))

async function load() {
  let module = await import(path.join(dist, 'wiregasm.js'))
  while (typeof module !== 'function') module = module.default
  const data = part('wiregasm.data')
  return module({
    wasmBinary: part('wiregasm.wasm'),
    getPreloadedPackage: () => data.buffer.slice(data.byteOffset, data.byteOffset + data.length),
    locateFile: (name) => path.join(dist, name),
    handleStatus() {},
    printErr() {},
  })
}

const list = (vector) => Array.from({ length: vector.size() }, (_, i) => vector.get(i))

// walk visits a tree of what Wireshark has found, depth first.
function walk(tree, visit) {
  for (const node of list(tree)) {
    visit(node)
    walk(node.tree, visit)
  }
}

function describe(frame, columns) {
  const found = { port: 0, info: columns[columns.length - 1], doubts: [] }
  walk(frame.tree, (node) => {
    if (node.filter.startsWith('udp.srcport == ')) found.port = Number(node.filter.slice('udp.srcport == '.length))
    const { label, severity } = node
    if (/^(warn|error)/i.test(severity) || /malformed|encrypted (data|record|handshake|alert)/i.test(label)) found.doubts.push(label)
  })
  return found
}

async function main(files) {
  const wireshark = await load()
  wireshark.init()
  console.error('Wireshark', wireshark.wiresharkVersion?.() ?? '')
  for (let i = 0; i < files.length; i += 2) {
    const [capture, keys] = [`/uploads/${i}.pcap`, `/uploads/${i}.keys`]
    wireshark.FS.writeFile(capture, fs.readFileSync(files[i]))
    wireshark.FS.writeFile(keys, fs.readFileSync(files[i + 1]))
    const set = wireshark.setPref('tls', 'keylog_file', keys)
    if (set.code !== 0) throw new Error(`keylog_file: ${set.error}`)
    wireshark.applyPreferences()
    const session = new wireshark.DissectSession(capture)
    const { code, error } = session.load()
    if (code !== 0) throw new Error(`${files[i]}: ${error}`)
    const { frames } = session.getFrames('', 0, 0)
    console.log(JSON.stringify(list(frames).map((f) => describe(session.getFrame(f.number), list(f.columns)))))
    session.delete?.()
  }
}

main(process.argv.slice(2)).catch((e) => {
  console.error(e)
  process.exit(1)
})
