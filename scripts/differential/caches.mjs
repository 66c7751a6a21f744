// `npm run differential -- --caches`: one builder writes the cache of a drawn Dockerfile, the other builds it from that
// cache with nothing of its own, and every step that it ran all the same is a miss. The writer changes from case to case.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './build.mjs'

/**
 * `reference`, `ours`: commands that build; `oursWrites`: who writes. The reference builder has to meet the steps for the first
 * time: contexts are random. Answers `{ result: 'refused' | 'equal' | 'different', hits, misses }`.
 */
export async function compareCaches({ context, work, number, reference, ours, oursWrites }) {
  const cache = join(work, `cache-${number}`)
  mkdirSync(cache, { mode: 0o777 })
  const stores = [join(work, `store-writer-${number}`), join(work, `store-reader-${number}`)]
  const [writer, reader] = oursWrites
    ? [withStore(ours, stores[0]), { command: reference, environment: {} }]
    : [{ command: reference, environment: {} }, withStore(ours, stores[1])]
  const wrote = await build(writer, context, ['--cache-to', `type=local,dest=${cache},mode=max`])
  if (wrote.status !== 0) return { result: 'refused', hits: 0, misses: [] }
  const read = await build(reader, context, ['--cache-from', `type=local,src=${cache}`])
  if (read.status !== 0)
    return { result: 'different', hits: 0, misses: [`the reader failed: ${lastLine(read.output)}`] }
  const { hits, misses } = countHits(read.output)
  return { result: misses.length === 0 ? 'equal' : 'different', hits, misses }
}

function withStore(command, store) {
  return { command, environment: { TSBUILD_HOME: store } }
}

function build({ command, environment }, context, flags) {
  return run([...command, '--progress=plain', '-o', 'type=cacheonly', ...flags, context], {
    ...process.env,
    ...environment,
  })
}

function lastLine(output) {
  return output.trim().split('\n').at(-1)
}

/** Steps by how they ended; what is internal, and bases, are none. */
function countHits(output) {
  const names = new Map()
  const cached = new Set()
  for (const line of output.split('\n')) {
    const named = /^#(\d+) (\[(?!internal\]).*)$/.exec(line)
    if (named !== null && !/\] FROM /.test(named[2])) names.set(named[1], named[2])
    const ended = /^#(\d+) CACHED$/.exec(line)
    if (ended !== null) cached.add(ended[1])
  }
  const misses = [...names].filter(([id]) => !cached.has(id)).map(([, name]) => name)
  return { hits: names.size - misses.length, misses }
}
