import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  makeBusyboxBase,
  pushBase,
  startRegistry,
  temporaryDirectory,
  type Registry,
  type TemporaryDirectory,
} from '@ts-oci/testing'
import { build } from './build.ts'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'

/** What tests of whole builds with steps need of the machine. */
export const buildNeeds: readonly string[] = ['root', 'docker-registry', 'skopeo', 'busybox', 'tar']

/** A registry with a busybox base, and a directory for stores and contexts. */
export interface BuildWorld extends AsyncDisposable {
  readonly registry: Registry
  /** Reference of the base. */
  readonly base: string
  readonly directory: TemporaryDirectory
  /** Directory of the store that `build` uses unless told otherwise. */
  readonly store: string
  /** Writes files below a directory of that name; `$BASE` in a Dockerfile becomes the base. Returns its path. */
  context(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string>
  /** `build` of such a context, in the common store. */
  build(context: string, options?: BuildOptions): Promise<BuildResult>
}

export async function makeBuildWorld(): Promise<BuildWorld> {
  const directory = await temporaryDirectory()
  const registry = await startRegistry()
  const base = await pushBase(await makeBusyboxBase(directory.join('base')), registry, 'busybox:1')
  const store = directory.join('store')
  return {
    registry,
    base,
    directory,
    store,
    context: async (name, files) => {
      for (const [file, content] of Object.entries(files)) {
        const path = directory.join(name, file)
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, typeof content === 'string' ? content.replaceAll('$BASE', base) : content)
      }
      return directory.join(name)
    },
    build: (context, options = {}) => build({ context, store, ...options }),
    [Symbol.asyncDispose]: async () => {
      await registry.stop()
      await directory[Symbol.asyncDispose]()
    },
  }
}

/** The vertices of a build with this status, without their `[stage 1/2]` and what is internal. */
export function verticesOf(result: BuildResult, status: 'ran' | 'cached' | 'canceled' | 'failed'): string[] {
  return result.vertices
    .filter((vertex) => vertex.status === status && !vertex.name.startsWith('[internal]'))
    .map((vertex) => vertex.name.replace(/^\[[^\]]*\] /, ''))
}

/** Runs `work` and counts the processes that this one starts meanwhile. */
export async function countSpawns<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly spawns: number }> {
  let spawns = 0
  const count = (): void => void spawns++
  subscribe('child_process', count)
  try {
    return { result: await work(), spawns }
  } finally {
    unsubscribe('child_process', count)
  }
}
