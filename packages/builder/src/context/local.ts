import { basename, dirname, resolve } from 'node:path'
import { closeFd, errnoOf, openRoot, statFd, statResolved } from '@ts-oci/runtime'
import { toByteString } from '../base/byte-string.ts'
import { BuilderError, isTsOciError } from '../base/errors.ts'
import { describeSelectors, digestSelectors } from '../view/content-digest.ts'
import type { HeadedFile } from '../view/shared-digest.ts'
import type { View, ViewEntry, ContentSelector } from '../view/types.ts'
import { viewOfTree } from '../view/view.ts'
import type { Digest } from '../oci/digest.ts'
import type { LocalResult } from './types.ts'
import { createPathFilter } from '../patterns/filter.ts'
import { hashFiles, type HashJob } from './hash-files.ts'
import { openDigestMemo, type DigestMemo } from './memo.ts'
import { createContextTree, type ContextTree, type DirectoryIdentity, type FileFacts } from './tree.ts'

export interface LocalContextOptions {
  /** An ordinary path of the host. */
  readonly directory: string
  /** Lines of the ignore file (`parseIgnoreFile`). */
  readonly ignorePatterns?: readonly string[] | undefined
  /** Only what these match is there; none: everything. */
  readonly includePatterns?: readonly string[] | undefined
  /** A directory that is no part of the context although it may lie in it: the store, which changes while a build runs. */
  readonly leftOut?: string | undefined
  /** File in a directory of ours that remembers digests between builds; one a context. */
  readonly memoPath?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** A directory of the host as the input of a build. Close it when the build is done. */
export interface LocalContext extends LocalResult, Disposable {
  readonly kind: 'local'
  /** Absolute. */
  readonly directory: string
  readonly view: View
  /** Throws OCI_COPY_SOURCE_NOT_FOUND, OCI_CONTEXT_CHANGED, OCI_CONTEXT_INVALID. */
  digestPaths(selectors: readonly ContentSelector[]): Promise<Digest>
  sharedDigests(selectors: readonly ContentSelector[]): Promise<readonly Digest[]>
  /** What was done so far, for progress and tests. */
  statistics(): ContextStatistics
  close(): void
}

export interface ContextStatistics {
  /** Entries that were read from directories. */
  readonly entries: number
  /** Files whose bytes were read and hashed. */
  readonly hashedFiles: number
  readonly hashedBytes: number
}

/**
 * Opens a directory as a build context. It is read lazily: a directory's entries when a source looks into it, once;
 * ignored directories never, unless an exception may lie below; bytes only when their digest is asked for and not
 * remembered. Throws OCI_CONTEXT_NOT_FOUND, OCI_CONTEXT_INVALID, OCI_IGNORE_PATTERN.
 * @example
 * using context = openLocalContext({ directory: '.', ignorePatterns: ['node_modules'] })
 * context.view.lookup('package.json')?.size
 */
export function openLocalContext(options: LocalContextOptions): LocalContext {
  const directory = resolve(options.directory)
  const filter = createPathFilter({
    includePatterns: options.includePatterns,
    excludePatterns: options.ignorePatterns,
  })
  const openedMs = Date.now()
  const rootFd = openDirectory(options.directory, directory)
  const tree = createContextTree(rootFd, directory, filter, identityOf(options.leftOut))
  const view = viewOfTree(tree.root)
  const memoOf = (suffix: string): DigestMemo | undefined =>
    options.memoPath === undefined
      ? undefined
      : openDigestMemo(dirname(options.memoPath), `${basename(options.memoPath)}${suffix}`)
  const parts = { rootFd, tree, openedMs, signal: options.signal }
  const digester = createDigester({ ...parts, memo: memoOf('') })
  // Another digest of the same files: remembered beside the first.
  let shared: ContextDigester | undefined
  let isOpen = true

  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw explainMissing(rootFd, error)
    }
  }

  async function sharedDigestsOf(selectors: readonly ContentSelector[]): Promise<readonly Digest[]> {
    const { sharedDigests } = await import('../view/shared-digest.ts')
    const { digestHeaded } = (shared ??= createDigester({ ...parts, memo: memoOf('.shared') }))
    return sharedDigests(view, selectors, digestHeaded, { isContext: true })
  }

  function close(): void {
    if (!isOpen) return
    isOpen = false
    closeFd(rootFd)
  }

  return {
    kind: 'local',
    directory,
    view,
    digestPaths: (selectors) => explained(digestSelectors(view, selectors, digester.digestFiles)),
    sharedDigests: (selectors) => explained(sharedDigestsOf(selectors)),
    describePaths: (selectors) => describeSelectors(view, selectors, digester.digestFiles),
    statistics: () => ({ entries: tree.entryCount(), ...digester.statistics() }),
    close,
    [Symbol.dispose]: close,
  }
}

function identityOf(directory: string | undefined): DirectoryIdentity | undefined {
  if (directory === undefined) return undefined
  const fd = openRoot(directory)
  try {
    return statFd(fd)
  } finally {
    closeFd(fd)
  }
}

function openDirectory(shown: string, directory: string): number {
  try {
    return openRoot(directory)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT')
      throw new BuilderError('OCI_CONTEXT_NOT_FOUND', `unable to prepare context: path "${shown}" not found`, {
        hint: 'name the directory that holds the files of the build; . is the current one',
        cause,
      })
    if (errno === 'ENOTDIR')
      throw new BuilderError('OCI_CONTEXT_INVALID', `unable to prepare context: "${shown}" is not a directory`, {
        hint: 'the Dockerfile is named with -f, the context is the directory of its files',
        cause,
      })
    if (errno === 'EACCES')
      throw new BuilderError(
        'OCI_CONTEXT_INVALID',
        `unable to prepare context: "${shown}" cannot be read: permission denied`,
        { cause },
      )
    throw cause
  }
}

interface DigesterParts {
  readonly rootFd: number
  readonly tree: ContextTree
  readonly memo: DigestMemo | undefined
  readonly openedMs: number
  readonly signal: AbortSignal | undefined
}

interface ContextDigester {
  digestFiles(files: readonly ViewEntry[]): Promise<readonly Digest[]>
  /** Of one digester all calls are of one of the two. */
  digestHeaded(files: readonly HeadedFile[]): Promise<readonly Digest[]>
  statistics(): { readonly hashedFiles: number; readonly hashedBytes: number }
}

function createDigester(parts: DigesterParts): ContextDigester {
  const { rootFd, tree, memo, signal } = parts
  const known = new Map<ViewEntry, Digest>()
  let hashedFiles = 0
  let hashedBytes = 0
  // One after the other: what a second caller needs of the same files is then known.
  let last: Promise<unknown> = Promise.resolve()

  async function hashUnknown(files: readonly (Pick<HeadedFile, 'entry'> & Partial<HeadedFile>)[]): Promise<void> {
    const jobs = new Map<HashJob, ViewEntry>()
    for (const { entry: file, head } of files) {
      if (known.has(file)) continue
      const facts = factsOf(tree, file)
      const remembered = memo?.find(facts.entries, facts.index)
      if (remembered === undefined) jobs.set({ path: file.path, size: file.size, head, ...facts }, file)
      else known.set(file, toDigest(remembered))
    }
    if (jobs.size === 0) return
    try {
      await hashFiles(rootFd, [...jobs.keys()], signal, (job, digest, isUnchanged) => {
        hashedFiles++
        hashedBytes += job.size
        known.set(jobs.get(job)!, toDigest(digest))
        if (isUnchanged && isSettled(job, parts.openedMs)) memo?.record(job.entries, job.index, digest)
      })
    } finally {
      memo?.save()
    }
  }

  async function digestAll(files: Parameters<typeof hashUnknown>[0]): Promise<readonly Digest[]> {
    const work = last.then(() => hashUnknown(files))
    last = work.catch(() => undefined)
    await work
    return files.map(({ entry }) => known.get(entry)!)
  }

  return {
    digestFiles: (files) => digestAll(files.map((entry) => ({ entry }))),
    digestHeaded: digestAll,
    statistics: () => ({ hashedFiles, hashedBytes }),
  }
}

function factsOf(tree: ContextTree, file: ViewEntry): FileFacts {
  const facts = tree.facts(file)
  if (facts === undefined) throw new Error(`"${file.path}" is no file of this context`)
  return facts
}

// The kernel stamps files by a clock that ticks every 1 to 10 ms; where all nanoseconds are 0 the file system keeps
// seconds (ext3, HFS+), or two of them (FAT).
const TICK_MS = 100
const COARSE_TICK_MS = 2100

/**
 * Whether the file had rested when the context was opened. One that is written twice within a tick of the clock has the
 * same fingerprint with other bytes: it is hashed again the next time (Git calls such entries racy).
 */
function isSettled({ entries, index }: HashJob, openedMs: number): boolean {
  const isCoarse = entries.mtimeNsec(index) === 0 && entries.ctimeNsec(index) === 0
  const changedMs =
    Math.max(entries.mtimeSec(index), entries.ctimeSec(index)) * 1000 +
    Math.max(entries.mtimeNsec(index), entries.ctimeNsec(index)) / 1e6
  return changedMs + (isCoarse ? COARSE_TICK_MS : TICK_MS) < openedMs
}

function toDigest(bytes: Uint8Array): Digest {
  return `sha256:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}` as Digest
}

/** A source that exists but is ignored is the commonest riddle of all: say it. */
function explainMissing(rootFd: number, error: unknown): unknown {
  if (!isTsOciError(error) || error.code !== 'OCI_COPY_SOURCE_NOT_FOUND') return error
  const path = String(error.details['path'])
  const hint = isInDirectory(rootFd, path)
    ? 'it is in the directory, but the ignore file (.dockerignore) excludes it'
    : (error.hint ?? 'paths are relative to the build context')
  return new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', error.message, { hint, cause: error, details: error.details })
}

function isInDirectory(rootFd: number, path: string): boolean {
  try {
    return statResolved(rootFd, toByteString(path), 'in-root', true) !== undefined
  } catch {
    return false
  }
}
