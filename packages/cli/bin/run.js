#!/usr/bin/env node
// Plain JavaScript that every Node can read: an old one must get a sentence, not a syntax error.
import { statSync } from 'node:fs'
import module from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'

const [major, minor] = process.versions.node.split('.').map(Number)
// The floor of undici 8, which speaks to registries.
if (major < 22 || (major === 22 && minor < 19)) {
  const { runOnNewerNode } = await import('./old-node.js')
  process.exit(await runOnNewerNode(fileURLToPath(import.meta.url), process.argv.slice(2)))
}
const argv = process.argv.slice(2)
const mayAsk = argv.length === 0 || argv.some((word) => /^(?:--version|-v|--help|-h|help)$/.test(word))
if (!mayAsk || !(await answer())) await start()

/** What is only asked is answered before anything else of ours is loaded; false when there is more to do. */
async function answer() {
  const { plainAnswer } = await import('../dist/help/answer.js').catch(explain)
  const text = plainAnswer(argv, process.stdout.columns)
  if (text === undefined) return false
  // `tsbuild --help | head -1`: a reader that is gone wants no more.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  process.stdout.write(text)
  return true
}

async function start() {
  // The part of the heap for new objects stays small: V8 would let it grow to 130 MB for a context of 30,000 files, and gain
  // 3 % of the time.
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  // The parser of HTTP is WebAssembly: to compile it a second time, and well, takes 30 ms and 20 MB and gains nothing here.
  v8.setFlagsFromString('--wasm-tiering-budget=2000000000')
  // Of the user, not in the shared temporary directory: compiled code of others must not get in.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, '.cache'))
  if (cache) module.enableCompileCache(join(cache, 'tsbuild', 'compile-cache'))
  const { main } = await import(isBundled() ? '../dist/bundle/main.js' : '../dist/main.js').catch(explain)
  await main(argv)
}

/** A fresh clone has no compiled code: it gets a sentence, not a stack. */
function explain(error) {
  if (timeOf('../dist/main.js') !== undefined) throw error
  process.stderr.write(
    'ERROR: this clone of tsbuild is not compiled\n  hint: npm run quickstart, or npm run build, in the clone\n',
  )
  process.exit(1)
}

/** In a source tree the compiler may have run since; a released package has no marks of it. */
function isBundled() {
  const bundled = timeOf('../dist/bundle/main.js')
  const marks = ['..', '../../builder', '../../runtime'].map((folder) => timeOf(`${folder}/dist/.tsbuildinfo`))
  return bundled !== undefined && marks.every((time) => time === undefined || time <= bundled)
}

function timeOf(file) {
  return statSync(new URL(file, import.meta.url), { throwIfNoEntry: false })?.mtimeMs
}
