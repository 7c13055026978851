import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database } from './pglite.js'

test('a database in a directory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pglite-'))
  for (const expected of ['1', '2']) {
    const database = new Database(join(folder, 'data'))
    const [one, two] = [database.session(), database.session()]
    assert.equal(one.query('CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)').tag, 'INSERT 0 1')
    assert.deepEqual(two.query("SELECT count(*), 'hällo' AS text, NULL AS nothing FROM t").rows,
      [{ count: expected, text: 'hällo', nothing: null }])
    assert.throws(() => one.query('SELECT 1/0'), { sqlstate: '22012' })
    assert.throws(() => database.close(), /open sessions/)
    one.close()
    two.close()
    database.close()
  }
  rmSync(folder, { recursive: true })
  assert.throws(() => new Database('/dev/null'), /not a directory/)
})
