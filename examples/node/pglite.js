// A database in this process, by a foreign-function interface.
import koffi from 'koffi'

const lib = koffi.load(process.env.PGLITE_LIBRARY ?? 'libpglite.so.1')

const Row = koffi.struct('pglite_row', {
  size: 'size_t', statement: 'int', columns: 'int', names: 'void *', types: 'void *', values: 'void *', lengths: 'void *',
})
const RowCallback = koffi.proto('int pglite_row_callback(void *context, const pglite_row *row)')
const open = lib.func('int pglite_open(const char *directory, void *options, _Out_ void **database, _Out_ void **error)')
const close = lib.func('int pglite_close(void *database, _Out_ void **error)')
const sessionOpen = lib.func('int pglite_session_open(void *database, void *options, _Out_ void **session, _Out_ void **error)')
const sessionClose = lib.func('int pglite_session_close(void *session, _Out_ void **error)')
const exec = lib.func(
  'int pglite_session_exec(void *session, const char *sql, pglite_row_callback *callback, void *context, _Out_ void **error)')
const tag = lib.func('const char *pglite_session_tag(void *session)')
const message = lib.func('const char *pglite_error_message(void *error)')
const sqlstate = lib.func('const char *pglite_error_sqlstate(void *error)')
const free = lib.func('void pglite_error_free(void *error)')

/** What PostgreSQL, or libpglite, says. */
export class PgliteError extends Error {
  constructor (text, state) {
    super(text)
    this.sqlstate = state
  }
}

function check (status, error) {
  if (status === 0) return
  const failure = new PgliteError(message(error), sqlstate(error))
  free(error)
  throw failure
}

/** A session; calls block. */
class Session {
  constructor (handle) {
    this.handle = handle
  }

  /** Runs statements; the rows as objects of text, and the tag of the last statement. */
  query (sql) {
    const rows = []
    const callback = koffi.register((_, pointer) => {
      const row = koffi.decode(pointer, Row)
      const strings = (at) => koffi.decode(at, koffi.array('const char *', row.columns))
      const values = strings(row.values)
      rows.push(Object.fromEntries(strings(row.names).map((name, i) => [name, values[i]])))
      return 0
    }, koffi.pointer(RowCallback))
    try {
      const error = [null]
      check(exec(this.handle, sql, callback, null, error), error[0])
    } finally {
      koffi.unregister(callback)
    }
    return { rows, tag: tag(this.handle) }
  }

  close () {
    const error = [null]
    check(sessionClose(this.handle, error), error[0])
  }
}

/** An open database: a directory, or `:memory:`. */
export class Database {
  constructor (directory) {
    const [database, error] = [[null], [null]]
    check(open(directory, null, database, error), error[0])
    this.handle = database[0]
  }

  session () {
    const [session, error] = [[null], [null]]
    check(sessionOpen(this.handle, null, session, error), error[0])
    return new Session(session[0])
  }

  close () {
    const error = [null]
    check(close(this.handle, error), error[0])
  }
}
