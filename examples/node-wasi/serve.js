// The page: PGLITE_WASM=FOLDER node serve.js, then http://localhost:8080
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'

const here = import.meta.dirname
const types = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.tar': 'application/x-tar' }

/** Files and folders, and nothing else: the page knows of no links. */
const plain = ['--format=gnu', '--dereference', '--hard-dereference']

/** A server of the page, and of the modules in a folder. `more` are further files: from path to function. */
export function serve (modules, port, more = {}) {
  const files = {
    '/': () => readFileSync(join(here, 'index.html')),
    '/page-worker.js': () => readFileSync(join(here, 'page-worker.js')),
    '/protocol.js': () => readFileSync(join(here, 'protocol.js')),
    '/libpglite.wasm': () => readFileSync(join(modules, 'libpglite.wasm')),
    '/root.tar': () => execFileSync('tar', [...plain, '-C', join(modules, 'root'), '-cf', '-', '.'], { maxBuffer: 1 << 30 }),
    ...more
  }
  const server = createServer((request, response) => {
    const [path] = request.url.split('?')
    const shim = path.match(/^\/browser_wasi_shim\/([a-z_]+\.js)$/)
    const read = shim
      ? () => readFileSync(join(here, 'node_modules/@bjorn3/browser_wasi_shim/dist', shim[1]))
      : files[path]
    if (!read) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': types[extname(path)] ?? 'text/html' }).end(read())
  })
  return new Promise((done) => server.listen(port, '127.0.0.1', () => done(server)))
}

if (process.argv[1] === import.meta.filename) {
  const server = await serve(process.env.PGLITE_WASM, 8080)
  console.log(`http://localhost:${server.address().port}`)
}
