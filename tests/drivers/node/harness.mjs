// Runs scenarios and reports as ../README.md says.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual, inspect } from "node:util";
import { performance } from "node:perf_hooks";

export const uri = process.env.DRIVERS_URI;
export const parts = new URL(uri);
export const login = {
  host: parts.hostname, port: Number(parts.port), user: parts.username,
  password: decodeURIComponent(parts.password), database: "postgres",
};
export const socketFolder = process.env.DRIVERS_SOCKET;
export const ROWS = 20_000;
const LIMIT = 60_000;
const scenarios = new Map();

export class NotApplicable extends Error {}
export const scenario = (name, run) => scenarios.set(name, run);
export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
export const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

export function check(condition, what = "a check") {
  if (!condition) throw new Error(what);
}

export function equal(actual, expected) {
  if (!isDeepStrictEqual(actual, expected)) {
    throw new Error(`${inspect(actual).slice(0, 300)} instead of ${inspect(expected).slice(0, 300)}`);
  }
}

/** Wants the promise to be rejected with this SQLSTATE. */
export async function fails(state, promise) {
  try {
    await promise;
  } catch (error) {
    if ((error.code ?? error.cause?.code) === state) return;
    throw error;
  }
  throw new Error(`no error, but ${state} was expected`);
}

/** Asks until the answer is true. */
export async function until(ask) {
  for (let i = 0; i < 3000; i++) {
    if (await ask()) return;
    await sleep(10);
  }
  throw new Error(`never true: ${ask}`);
}

/** Something that `count` callers wait for until all are there. */
export function barrier(count) {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return () => {
    if (--count === 0) open();
    return opened;
  };
}

export async function main(version) {
  console.log("version", version);
  const only = process.argv.slice(2);
  let failed = false;
  for (const [name, run] of scenarios) {
    if (only.length && !only.includes(name)) continue;
    const start = performance.now();
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("no end after 60 s")), LIMIT)));
    try {
      await Promise.race([run(), late]);
      console.log("ok", name, ((performance.now() - start) / 1000).toFixed(3));
    } catch (error) {
      if (error instanceof NotApplicable) {
        console.log("n/a", name, error.message);
      } else {
        failed = true;
        console.log("FAILED", name, String(error).replace(/\s+/g, " "));
        console.error(error.stack);
      }
    } finally {
      clearTimeout(timer);
    }
  }
  process.exit(failed ? 1 : 0);
}
