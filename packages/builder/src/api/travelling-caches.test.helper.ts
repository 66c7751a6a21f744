import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { temporaryDirectory } from '@ts-oci/testing'
import type { ProgressEvent } from '../base/progress.ts'
import type { BuildOptions, BuildResult, CacheOption } from '../build/public-types.ts'
import { verticesOf } from './build.test.helper.ts'
import { build } from './build.ts'

/** Two stages and three steps, of no base: what any machine builds. */
export const FILES: Readonly<Record<string, string>> = {
  Dockerfile: 'FROM scratch AS a\nCOPY one /1\nFROM scratch\nCOPY --from=a /1 /2\nCOPY two /3\n',
  one: 'one',
  two: 'two',
}

/** What a build with an empty store did. */
export interface FreshBuild {
  readonly result: BuildResult
  /** Steps that were run, in the words of the Dockerfile. */
  readonly ran: readonly string[]
  readonly warnings: readonly string[]
  /** What was told of caches: their statuses. */
  readonly statuses: readonly string[]
}

/** A directory for contexts and stores; each build begins with an empty one. */
export interface CacheTrials extends AsyncDisposable {
  join(name: string): string
  context(files?: Readonly<Record<string, string | Uint8Array>>): Promise<string>
  buildFresh(context: string, options: Partial<BuildOptions>): Promise<FreshBuild>
  writeTo(context: string, ...cacheTo: readonly CacheOption[]): Promise<FreshBuild>
  /** As `buildFresh`, with all layers fetched. */
  readFrom(context: string, ...cacheFrom: readonly CacheOption[]): Promise<FreshBuild>
}

export async function makeCacheTrials(): Promise<CacheTrials> {
  const directory = await temporaryDirectory()
  let count = 0
  const buildFresh = async (context: string, options: Partial<BuildOptions>): Promise<FreshBuild> => {
    const warnings: string[] = []
    const statuses: string[] = []
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'warning') warnings.push(event.warning.message)
      if (event.type === 'status') statuses.push(event.text ?? event.id)
    }
    const store = directory.join(`store-${count++}`)
    const result = await build({ context, store, onProgress, ...options })
    return { result, ran: verticesOf(result, 'ran'), warnings, statuses }
  }
  return {
    join: (name) => directory.join(name),
    buildFresh,
    context: async (files = FILES) => {
      const path = directory.join(`context-${count++}`)
      await mkdir(path)
      for (const [name, text] of Object.entries(files)) {
        await writeFile(`${path}/${name}`, text)
        // A time is in a layer, and in no key: two layers of one file would differ by it.
        await utimes(`${path}/${name}`, 1_700_000_000, 1_700_000_000)
      }
      return path
    },
    writeTo: (context, ...cacheTo) => buildFresh(context, { outputs: [{ type: 'cacheonly' }], cacheTo }),
    readFrom: (context, ...cacheFrom) =>
      buildFresh(context, { cacheFrom, outputs: [{ type: 'oci', dest: directory.join(`image-${count++}.tar`) }] }),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
