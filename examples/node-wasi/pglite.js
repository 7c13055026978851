// PostgreSQL as a WebAssembly module in a thread of Node 24 or newer, by Node's own WASI.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { WASI } from 'node:wasi'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { begin, exchange, PgliteError, queryMessage, rowsOf, runText } from './protocol.js'

/** The backend of one instance. One thing at a time: what is asked meanwhile waits. */
export class Backend {
  #worker
  #waiting = []

  /** Begins. `modules` is the folder of libpglite.wasm, `prefix` a directory; variables of `env` that begin with PG are the module's, too. */
  static async open (modules, prefix, env = process.env) {
    const backend = new Backend()
    const options = { modules: resolve(modules), prefix: resolve(prefix), env }
    // A thread has the stack that PostgreSQL's recursions need, and the caller does not wait.
    backend.#worker = new Worker(new URL(import.meta.url), { workerData: options, resourceLimits: { stackSizeMb: 16 } })
    backend.#worker.on('message', ({ result, error, sqlstate }) => {
      const { done, failed } = backend.#waiting.shift()
      if (error === undefined) done(result)
      else failed(sqlstate ? new PgliteError(error, sqlstate) : new Error(error))
    })
    backend.#worker.on('error', (error) => backend.#waiting.splice(0).forEach(({ failed }) => failed(error)))
    try {
      backend.status = await backend.#ask('begin')
    } catch (error) {
      await backend.#worker.terminate()
      throw error
    }
    return backend
  }

  #ask (what, argument) {
    return new Promise((done, failed) => {
      this.#waiting.push({ done, failed })
      this.#worker.postMessage({ what, argument })
    })
  }

  /** Runs statements; the rows as objects of text, and the tag of the last statement. */
  query (sql) {
    return this.#ask('query', sql)
  }

  /** Runs what psql would take, with tables on standard output. */
  text (sql) {
    return this.#ask('text', sql)
  }

  /** Shuts the backend down. */
  async close () {
    await this.#ask('close')
    await this.#worker.terminate()
  }
}

/** Inside, every process has the same number: the module cannot see that somebody else has the directory. */
function lock (path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    const owner = Number(readFileSync(path))
    let alive = true
    try {
      process.kill(owner, 0)
    } catch {
      alive = false
    }
    if (alive) throw new Error(`process ${owner} uses this directory; if it does not, remove ${path}`)
    writeFileSync(path, String(process.pid))
  }
}

function work ({ modules, prefix, env }) {
  const locked = join(prefix, 'lock')
  let exports
  const whole = (reply) => {
    if (typeof reply !== 'number') return reply
    // It did not fit.
    const path = join(prefix, `base/.s.PGSQL.5432.out.${reply}`)
    const bytes = readFileSync(path)
    rmSync(path)
    return bytes
  }
  const can = {
    begin () {
      mkdirSync(prefix, { recursive: true })
      lock(locked)
      const wasi = new WASI({
        version: 'preview1',
        preopens: { '/pglite': join(modules, 'root'), '/tmp/pglite': prefix },
        env: Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('PG') && name !== 'PGDATA'))
      })
      const module = new WebAssembly.Module(readFileSync(join(modules, 'libpglite.wasm')))
      const instance = new WebAssembly.Instance(module, wasi.getImportObject())
      wasi.initialize(instance)
      exports = instance.exports
      return begin(exports)
    },
    query: (sql) => rowsOf(whole(exchange(exports, queryMessage(sql)))),
    text: (sql) => runText(exports, sql),
    close () {
      exports.pgl_shutdown()
      rmSync(locked)
    }
  }
  parentPort.on('message', ({ what, argument }) => {
    try {
      parentPort.postMessage({ result: can[what](argument) })
    } catch (error) {
      parentPort.postMessage({ error: error.message, sqlstate: error.sqlstate })
    }
  })
}

if (!isMainThread && workerData?.modules) work(workerData)
