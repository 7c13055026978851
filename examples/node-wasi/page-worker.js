// PostgreSQL in a page's worker: its files are in the page's memory, and gone with it.
import { ConsoleStdout, Directory, File, PreopenDirectory, WASI } from './browser_wasi_shim/index.js'
import { begin, exchange, queryMessage, rowsOf } from './protocol.js'

/** The folder `root` as a tree, out of a tar archive. */
function unpack (archive) {
  const tree = new Map()
  const text = (from, length) => new TextDecoder().decode(archive.subarray(from, from + length)).replace(/\0.*$/s, '')
  let long
  for (let at = 0; archive[at] !== 0;) {
    const [name, size, kind] = [long ?? text(at + 345, 155) + text(at, 100), parseInt(text(at + 124, 12), 8), text(at + 156, 1)]
    const data = archive.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
    // GNU tar writes a name of more than 100 bytes as a file of its own, before.
    long = kind === 'L' ? new TextDecoder().decode(data).replace(/\0.*$/s, '') : undefined
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    if (kind === 'L' || parts.length === 0) continue
    let folder = tree
    for (const part of parts.slice(0, -1)) folder = folder.get(part).contents
    folder.set(parts.at(-1), kind === '5' ? new Directory(new Map()) : new File(data))
  }
  return tree
}

/** What the C library in the module expects, and the shim leaves out. */
function complete (wasi) {
  const { path_open: open, fd_fdstat_get: status } = wasi.wasiImport
  const view = () => new DataView(wasi.inst.exports.memory.buffer)
  // A file has the lowest number that is free; the shim's only grow.
  wasi.wasiImport.path_open = (...all) => {
    const failed = open(...all)
    const free = wasi.fds.indexOf(undefined)
    if (failed === 0 && free >= 0) {
      wasi.fds[free] = wasi.fds.pop()
      view().setUint32(all.at(-1), free, true)
    }
    return failed
  }
  // Whoever opens a file may read and write it: here are the rights of a descriptor, and of what is opened below it.
  wasi.wasiImport.fd_fdstat_get = (fd, at) => {
    const failed = status(fd, at)
    for (const rights of [at + 8, at + 16]) view().setBigUint64(rights, 0x1fffffffn, true)
    return failed
  }
}

async function open () {
  const [module, archive] = await Promise.all([
    WebAssembly.compileStreaming(fetch('libpglite.wasm')),
    fetch('root.tar').then((response) => response.arrayBuffer())
  ])
  const output = ConsoleStdout.lineBuffered((line) => console.log(line))
  const wasi = new WASI([], [], [
    output, output, output,
    new PreopenDirectory('/pglite', unpack(new Uint8Array(archive))),
    new PreopenDirectory('/tmp/pglite', new Map())
  ], { debug: false })
  complete(wasi)
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport })
  wasi.initialize(instance)
  // A browser's thread has a stack of about one megabyte.
  begin(instance.exports, { max_stack_depth: '128kB' })
  return instance.exports
}

const opened = open()

onmessage = async ({ data: { number, sql } }) => {
  try {
    const reply = exchange(await opened, queryMessage(sql))
    if (typeof reply === 'number') throw new Error('the reply is larger than the memory area')
    postMessage({ number, result: rowsOf(reply) })
  } catch (error) {
    postMessage({ number, error: error.message, sqlstate: error.sqlstate })
  }
}
