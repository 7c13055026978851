// What both sides of the wire protocol need: in Node, and in a page.

/** What PostgreSQL says. */
export class PgliteError extends Error {
  constructor (text, state) {
    super(text)
    this.sqlstate = state
  }
}

/** A simple query message. */
export function queryMessage (sql) {
  const text = encode(sql)
  const message = new Uint8Array(text.length + 6)
  message[0] = 'Q'.charCodeAt(0)
  new DataView(message.buffer).setUint32(1, text.length + 5)
  message.set(text, 5)
  return message
}

/** The rows of a reply as objects of text, and the tag of the last statement. Throws its error. */
export function rowsOf (reply) {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.length)
  const text = (from, to) => new TextDecoder().decode(reply.subarray(from, to))
  const end = (from) => reply.indexOf(0, from)
  let [rows, names, tag, failure] = [[], [], '', null]
  for (let at = 0; at < reply.length; at += 1 + view.getUint32(at + 1)) {
    const kind = String.fromCharCode(reply[at])
    let next = at + 5
    if (kind === 'T') {
      names = []
      for (let count = view.getUint16(next), from = next + 2; count > 0; count--) {
        names.push(text(from, end(from)))
        from = end(from) + 19
      }
    } else if (kind === 'D') {
      next += 2
      rows.push(Object.fromEntries(names.map((name) => {
        const length = view.getInt32(next)
        const from = next + 4
        next = from + Math.max(length, 0)
        return [name, length < 0 ? null : text(from, next)]
      })))
    } else if (kind === 'C') {
      tag = text(next, end(next))
    } else if (kind === 'E') {
      const fields = {}
      for (; reply[next] !== 0; next = end(next) + 1) fields[String.fromCharCode(reply[next])] = text(next + 1, end(next))
      failure = new PgliteError(fields.M, fields.C)
    }
  }
  if (failure) throw failure
  return { rows, tag }
}

/** Writes to the memory area, which begins at address 1. */
const put = (exports, bytes) => new Uint8Array(exports.memory.buffer).set(bytes, 1)

const encode = (text) => new TextEncoder().encode(text)

/** Begins the backend of an instance whose `_initialize` has run, with settings of `postgresql.conf`; returns what pgl_initdb says. */
export function begin (exports, settings = {}) {
  const status = exports.pgl_initdb()
  let failed = status & 1
  for (const [name, value] of Object.entries(settings)) {
    put(exports, encode(`${name}\0${value}\0`))
    failed ||= exports.pg_conf(1, 2 + name.length)
  }
  if (failed || exports.pgl_backend() !== 0) throw new Error('the backend does not begin; the reason is on standard error')
  return status
}

/** Sends messages. The reply, or the number of the file that has it. */
export function exchange (exports, message) {
  exports.use_wire(1)
  put(exports, message)
  exports.interactive_write(message.length)
  exports.interactive_one()
  const size = exports.interactive_read()
  return size < 0 ? -size : new Uint8Array(exports.memory.buffer, 2 + message.length, size).slice()
}

/** Runs what psql would take, with tables on standard output; a statement that has not ended waits for the next text. */
export function runText (exports, sql) {
  exports.use_wire(0)
  put(exports, encode(sql + '\0'))
  exports.interactive_one()
}
