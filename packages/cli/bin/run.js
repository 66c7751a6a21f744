#!/usr/bin/env node
// Plain JavaScript that every Node can read: an old one must get a sentence, not a syntax error.
// Modules of Node are not imported: that reads all their properties, and behind one of node:fs are all of Node's streams (3 ms).
const [major, minor] = process.versions.node.split('.').map(Number)
// The floor of undici 8, which speaks to registries.
if (major < 22 || (major === 22 && minor < 19)) {
  const { runOnNewerNode } = await import('./old-node.js')
  const { fileURLToPath } = await import('node:url')
  process.exit(await runOnNewerNode(process.argv[1] ?? fileURLToPath(import.meta.url), process.argv.slice(2)))
}
const argv = process.argv.slice(2)
// A link of such a name takes that program's words.
const program = /(?:^|\/)(executor|buildah|podman)$/.exec(process.argv[1] ?? '')?.[1]
const mayAsk = argv.length === 0 || argv.some((word) => /^(?:--version|-v|--help|-h|help)$/.test(word))
if (program !== undefined || !mayAsk || !(await answer())) await start()

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
  // Of the user, not in the shared temporary directory: compiled code of others must not get in.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && `${process.env.HOME}/.cache`)
  // Not below the current directory, which a relative one would mean; below /proc Node would try for ever to make it.
  if (/^\/(?!proc\/)/.test(cache)) {
    const folder = `${cache}/tsbuild/compile-cache`
    makePrivate(folder)
    process.getBuiltinModule('node:module').enableCompileCache(folder)
  }
  const { main } = await import(isBundled() ? '../dist/bundle/main.js' : '../dist/main.js').catch(explain)
  await main(argv, program)
}

/** Node would make it with the mode that the umask leaves. Where it cannot be made, Node does without. */
function makePrivate(folder) {
  try {
    process.getBuiltinModule('node:fs').mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch {}
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
  return process.getBuiltinModule('node:fs').statSync(new URL(file, import.meta.url), { throwIfNoEntry: false })
    ?.mtimeMs
}
