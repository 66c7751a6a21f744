import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { LowerEnvironment } from '../frontends/types.ts'
import { readIgnore } from './ignore-file.ts'
import type { BuildSources } from './sources.ts'
import { openLocalContext } from '../context/local.ts'
import type { Store } from '../store/types.ts'
import { BuilderError } from '../base/errors.ts'
import { digestHex, digestOf } from '../oci/digest.ts'
import type { OpsEnvironment } from '../ops/environment.ts'
import type { LocalResult } from '../context/types.ts'

/** The directories of this machine that a build reads, by the names that `local://` sources give them. */
export interface BuildContexts {
  readonly open: OpsEnvironment['openLocal']
  /** Adds a directory under a name of its own; equal ones have one name. Without patterns its `.dockerignore` counts. */
  readonly add: NonNullable<LowerEnvironment['openDirectory']>
  /** Makes sources known that were found later. */
  use(sources: BuildSources): void
  close(): void
}

/** Name of the main context, as BuildKit has it. */
export const MAIN_CONTEXT = 'context'

/** @param granted learns the directories, for whoever reads them in another process */
export function createContexts(store: Store, granted: Set<string>, signal: AbortSignal): BuildContexts {
  const directories = new Map<string, { readonly directory: string; readonly ignorePatterns: readonly string[] }>()
  const added = new Map<string, string>()
  const opened = new Map<string, LocalResult & Partial<Disposable>>()
  const use = (found: BuildSources): void => {
    for (const [name, source] of found.namedDirectories) directories.set(name, source)
    if (found.contextDirectory !== undefined)
      directories.set(MAIN_CONTEXT, { directory: found.contextDirectory, ignorePatterns: found.ignorePatterns ?? [] })
    for (const { directory } of directories.values()) granted.add(resolve(directory))
    if (found.contextArchive !== undefined) opened.set(MAIN_CONTEXT, found.contextArchive)
  }
  return {
    use,
    add: (directory, given) => {
      const ignorePatterns = given ?? (existsSync(directory) ? readIgnore(directory) : undefined) ?? []
      const key = JSON.stringify([directory, ignorePatterns])
      const known = added.get(key)
      if (known !== undefined) return { name: known, ignorePatterns }
      const name = `state-${directories.size}`
      added.set(key, name)
      directories.set(name, { directory, ignorePatterns })
      granted.add(resolve(directory))
      return { name, ignorePatterns }
    },
    open: async (name, attrs) => {
      const open = opened.get(name)
      if (open) return open
      const source = directories.get(name)
      if (source === undefined)
        throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `there is no build context named ${name}`, {
          hint: 'with a Dockerfile on standard input nothing can be copied from the context: name a directory',
        })
      const memos = join(store.root, 'memos')
      const context = openLocalContext({
        directory: source.directory,
        ignorePatterns: source.ignorePatterns,
        includePatterns: parseList(attrs['local.includepattern']),
        leftOut: store.root,
        memoPath: join(memos, digestHex(digestOf(source.directory)).slice(0, 32)),
        signal,
      })
      opened.set(name, context)
      return context
    },
    close: () => {
      for (const context of opened.values()) context[Symbol.dispose]?.()
    },
  }
}

function parseList(json: string | undefined): readonly string[] | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as string[])
}
