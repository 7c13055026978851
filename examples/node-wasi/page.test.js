// The page in a real browser: Debian's chromium, without a window.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { serve } from './serve.js'

const missing = spawnSync('chromium', ['--version']).error && 'NOT TESTED: chromium is not on this machine'

const statements = [
  'SELECT version()',
  'SELECT 1/0',
  'CREATE TABLE t AS SELECT generate_series(1, 10000) AS a',
  'SELECT sum(a) FROM t',
  "CREATE FUNCTION deep(n int) RETURNS int AS 'SELECT deep(n + 1)' LANGUAGE sql; SELECT deep(1)",
  `SELECT '${'['.repeat(100000)}${']'.repeat(100000)}'::json`,
  "SELECT 'well' AS word"
]

// What runs in the page, as if a user had typed it, and tells the server what came of it.
async function inPage (statements) {
  const answers = []
  const begin = performance.now()
  for (const sql of statements) {
    answers.push(await window.query(sql))
    answers.at(-1).after = performance.now() - begin
  }
  const start = performance.now()
  for (let i = 0; i < 1000; i++) await window.query('SELECT 1')
  answers.push({ microseconds: performance.now() - start })
  await fetch('/answers?' + encodeURIComponent(JSON.stringify(answers)))
}

test('a page', { skip: missing, timeout: 120000 }, async () => {
  const profile = mkdtempSync(join(tmpdir(), 'pglite-page-'))
  const done = Promise.withResolvers()
  const script = `<script type="module">(${inPage})(${JSON.stringify(statements)})</script>`
  const server = await serve(process.env.PGLITE_WASM, 0, {
    '/': () => readFileSync(join(import.meta.dirname, 'index.html'), 'utf8') + script,
    '/answers': () => ''
  })
  server.on('request', ({ url }) => url.startsWith('/answers?') && done.resolve(JSON.parse(decodeURIComponent(url.slice(9)))))
  const browser = spawn('chromium', [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--user-data-dir=${profile}`, `http://localhost:${server.address().port}/`
  ], { stdio: 'ignore' })
  const [version, error, created, sum, deep, nested, well, loop] = await done.promise
  browser.kill()
  await new Promise((resolve) => browser.on('exit', resolve))
  server.closeAllConnections()
  server.close()
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  assert.ok(version.result, version.error)
  assert.match(version.result.rows[0].version, /^PostgreSQL 18.*wasm32/)
  assert.equal(error.sqlstate, '22012')
  assert.equal(created.result.tag, 'SELECT 10000')
  assert.equal(sum.result.rows[0].sum, '50005000')
  assert.equal(deep.sqlstate, '54001')
  assert.equal(nested.sqlstate, '54001')
  assert.equal(well.result.rows[0].word, 'well')
  console.error(`in a page: first result after ${version.after.toFixed()} ms, SELECT 1 in ${loop.microseconds.toFixed()} us`)
})
