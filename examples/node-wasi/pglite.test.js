// PGLITE_WASM=FOLDER npm test, where FOLDER is what `cargo xtask build --target wasm32-wasip1` names.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Backend } from './pglite.js'

const modules = process.env.PGLITE_WASM
const folder = mkdtempSync(join(tmpdir(), 'pglite-'))
after(() => rmSync(folder, { recursive: true }))

test('what is written stays', async () => {
  const prefix = join(folder, 'stays')
  const first = await Backend.open(modules, prefix)
  assert.equal(first.status, 0b1010)
  await assert.rejects(Backend.open(modules, prefix), /uses this directory/)
  assert.equal((await first.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS a')).tag, 'SELECT 1000')
  await first.close()
  const second = await Backend.open(modules, prefix)
  assert.equal(second.status, 0b1100)
  assert.deepEqual((await second.query("SELECT sum(a), 'häl' || 'lo' AS word, NULL AS nothing FROM t")).rows,
    [{ sum: '500500', word: 'hällo', nothing: null }])
  await second.close()
})

test('errors and limits', async () => {
  const backend = await Backend.open(modules, join(folder, 'limits'))
  await assert.rejects(backend.query('SELECT 1/0'), { sqlstate: '22012' })
  await backend.query("CREATE FUNCTION deep(n int) RETURNS int AS 'SELECT deep(n + 1)' LANGUAGE sql")
  await assert.rejects(backend.query('SELECT deep(1)'), { sqlstate: '54001' })
  await assert.rejects(backend.query(`SELECT '${'['.repeat(200000)}${']'.repeat(200000)}'::json`), { sqlstate: '54001' })
  await assert.rejects(backend.query('SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 1e12)'), { sqlstate: '57014' })
  assert.equal((await backend.query("RESET statement_timeout; SELECT repeat('x', 20000000) AS long")).rows[0].long.length, 20000000)
  await backend.close()
})

test('a prompt', () => {
  const run = spawnSync(process.execPath, ['--no-warnings', join(import.meta.dirname, 'repl.js')], {
    encoding: 'utf8',
    env: { ...process.env, PREFIX: join(folder, 'prompt') },
    input: 'SELECT 6 *\n 7 AS answer;\nSELECT 1/0;\n'
  })
  assert.equal(run.status, 0, run.stderr)
  assert.match(run.stdout, / answer \n-+\n +42\n\(1 row\)\n\nERROR: {2}division by zero\n/)
})
