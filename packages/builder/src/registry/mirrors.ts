import { BuilderError, isTsOciError } from '../base/errors.ts'
import { isDigest } from '../oci/digest.ts'
import type { Connections } from './connections.ts'
import { type Repository, repositoryName } from './host.ts'

/**
 * Asks the mirrors of a repository, then itself, until one answers. A mirror that fails, whatever it says, has the next one
 * asked; when all do, the error is that of the last, and its hint tells what the others said.
 */
export async function fromFirst<T>(
  connections: Connections,
  repository: Repository,
  { tagOrDigest, signal }: { readonly tagOrDigest: string; readonly signal: AbortSignal | undefined },
  ask: (connections: Connections, source: Repository) => Promise<T>,
): Promise<T> {
  const sources = usable(connections, await connections.sources(repository, isDigest(tagOrDigest)))
  const failures: string[] = []
  for (const [index, source] of sources.entries()) {
    try {
      return await ask(forSource(connections, index, sources), source)
    } catch (error) {
      giveUpOrGoOn(connections, { error, source, failures, isLast: index === sources.length - 1, signal })
    }
  }
  throw new Error('a repository has no source')
}

/** Mirrors that gave no answer are not waited for again, blob by blob; the last source always stays. */
export function usable(connections: Connections, sources: readonly Repository[]): readonly Repository[] {
  return sources.filter(({ host }, index) => index === sources.length - 1 || !connections.silent.has(host.address))
}

/** The next source is a better second try than the same one again; only the last has none behind it. */
export function forSource(connections: Connections, index: number, sources: readonly Repository[]): Connections {
  if (index === sources.length - 1) return connections
  return { ...connections, options: { ...connections.options, retries: 0 } }
}

interface Failure {
  readonly error: unknown
  readonly source: Repository
  /** What the sources before this one said. */
  readonly failures: string[]
  readonly isLast: boolean
  readonly signal: AbortSignal | undefined
}

/** @throws the error, where nobody else is to be asked, or it is not the source's */
export function giveUpOrGoOn(connections: Connections, { error, source, failures, isLast, signal }: Failure): void {
  if (signal?.aborted === true || !isTsOciError(error)) throw error
  const isFaultOfSource = /^OCI_(?:REGISTRY_|DIGEST_MISMATCH|CREDENTIALS)/.test(error.code)
  if (!isFaultOfSource || (isLast && failures.length === 0)) throw error
  if (isLast) {
    const { message, hint, details } = error
    throw new BuilderError(error.code as BuilderError['code'], message, {
      hint: [hint, `mirrors failed, too: ${failures.join('; ')}`].filter((part) => part !== undefined).join('; '),
      details,
      cause: error,
    })
  }
  if (error.code === 'OCI_REGISTRY_UNREACHABLE') connections.silent.add(source.host.address)
  failures.push(
    error.message.includes(source.host.name) ? error.message : `${repositoryName(source)}: ${error.message}`,
  )
}
