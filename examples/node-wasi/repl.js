// A prompt for SQL: PGLITE_WASM=FOLDER PREFIX=/tmp/my-prefix node repl.js
import { createInterface } from 'node:readline'
import { Backend } from './pglite.js'

const backend = await Backend.open(process.env.PGLITE_WASM, process.env.PREFIX ?? '/tmp/pglite')
const prompt = () => process.stdin.isTTY && process.stdout.write('sql> ')
prompt()
for await (const line of createInterface({ input: process.stdin })) {
  await backend.text(line + '\n')
  prompt()
}
await backend.close()
