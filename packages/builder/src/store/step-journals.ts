import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sweepExecutors } from '@ts-oci/runtime'
import type { StorePaths } from './paths.ts'

/** For a step whose builder was killed to end: what is left of it is killed already. */
const PATIENCE_MS = 2000
const PAUSE_MS = 20

/**
 * Where nothing can be mounted the caches of a step lie in its root, and a journal says where they belong. Before roots of dead
 * processes are removed they are taken back, for which no process is started where there is no journal.
 * @param names of `tmp/`
 * @returns those of `names` in which a step still ends
 */
export function rootsThatEnd(paths: StorePaths, names: readonly string[]): readonly string[] {
  const state = join(paths.run, 'executor')
  for (let waited = 0; ; waited += PAUSE_MS) {
    let busy = journaled(state, names)
    if (busy.length === 0) return busy
    sweepExecutors(state)
    busy = journaled(state, names)
    if (busy.length === 0 || waited >= PATIENCE_MS) return busy
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
  }
}

/** Those that a journal names. A path of `tmp/` begins with its owner, whose name nobody else has. */
function journaled(state: string, names: readonly string[]): readonly string[] {
  const journals = list(state)
    .filter((executor) => executor.startsWith('executor-'))
    .flatMap((executor) => list(join(state, executor)).map((step) => join(state, executor, step)))
    .filter((path) => path.slice(path.lastIndexOf('/') + 1).startsWith('step-'))
    .flatMap((path) => read(join(path, 'journal')))
  return names.filter((name) => journals.some((journal) => journal.includes(`/tmp/${name}`)))
}

function list(directory: string): readonly string[] {
  return orNone(() => readdirSync(directory))
}

function read(path: string): readonly Buffer[] {
  return orNone(() => [readFileSync(path)])
}

/** What ends meanwhile is gone; what belongs to another id is of an isolation that has no journals. */
function orNone<T>(action: () => readonly T[]): readonly T[] {
  try {
    return action()
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(String((error as { code?: unknown }).code))) return []
    throw error
  }
}
