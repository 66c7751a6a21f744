import { BuilderError, scrubCredentials } from '../../base/errors.ts'
import type { Git } from './run-git.ts'
import { isCommitId, type GitCheckout } from './spec.ts'

/** Which commit a source means. */
export interface ResolvedCommit {
  /** Full name (`refs/heads/main`, `refs/tags/v1`), or the commit id where the source names one. */
  readonly ref: string
  /** Id of what the ref names: a commit, or the object of an annotated tag. */
  readonly objectId: string
  /** Id of the commit itself, where an annotated tag tells it. */
  readonly commitId: string
}

/**
 * Finds the commit; a full commit id is its own answer, and no server is asked. Throws OCI_SOURCE_FAILED for a ref that
 * the repository lacks and for a commit that is not the one of `checksum`.
 */
export async function resolveCommit(git: Git, source: GitCheckout): Promise<ResolvedCommit> {
  if (isCommitId(source.ref)) {
    if (!source.ref.startsWith(source.checksum)) throw wrongCommit(source, source.ref)
    return { ref: source.ref, objectId: source.ref, commitId: source.ref }
  }
  if (source.fetchByCommit) return pinnedCommit(source)
  const ref = source.ref === '' ? await defaultBranch(git, source.remote) : source.ref
  const output = await git.run(['ls-remote', '--', source.remote, ref, `${ref}^{}`])
  const found = chooseRef(output, ref)
  if (found === undefined) {
    throw new BuilderError('OCI_SOURCE_FAILED', `repository does not contain ref ${ref}`, {
      hint: 'name a branch, a tag or a whole commit id',
      details: { remote: scrubCredentials(source.remote), ref },
    })
  }
  if (!found.objectId.startsWith(source.checksum) && !found.commitId.startsWith(source.checksum)) {
    throw wrongCommit(
      source,
      found.objectId === found.commitId ? found.objectId : `${found.objectId} or ${found.commitId}`,
    )
  }
  return found
}

function pinnedCommit(source: GitCheckout): ResolvedCommit {
  const { checksum, ref } = source
  if (checksum === '')
    throw new BuilderError('OCI_SOURCE_FAILED', 'fetch-by-commit requires a checksum or a commit SHA ref')
  if (!isCommitId(checksum))
    throw new BuilderError(
      'OCI_SOURCE_FAILED',
      `fetch-by-commit requires a full commit SHA checksum, got ${JSON.stringify(checksum)}`,
    )
  const name = ref === '' ? checksum : ref.startsWith('refs/') ? ref : `refs/heads/${ref}`
  return { ref: name, objectId: checksum, commitId: checksum }
}

async function defaultBranch(git: Git, remote: string): Promise<string> {
  const output = await git.run(['ls-remote', '--symref', '--', remote, 'HEAD'])
  const ref = /^ref: (\S+)\tHEAD$/m.exec(output)?.[1]
  if (ref === undefined)
    throw new BuilderError(
      'OCI_SOURCE_FAILED',
      `could not find default branch for repository: ${scrubCredentials(remote)}`,
      { hint: 'is it empty? name a branch: #NAME' },
    )
  return ref
}

/** As git's checkout prefers: the full name, then a branch, then a tag. */
function chooseRef(output: string, ref: string): ResolvedCommit | undefined {
  const ids = new Map<string, string>()
  for (const line of output.split('\n')) {
    const [id, name] = line.split('\t')
    if (name !== undefined && isCommitId(id!)) ids.set(name, id!)
  }
  const without = (prefix: string): string => prefix + (ref.startsWith(prefix) ? ref.slice(prefix.length) : ref)
  for (const name of [without('refs/'), without('refs/heads/'), without('refs/tags/')]) {
    const objectId = ids.get(name)
    if (objectId !== undefined) return { ref: name, objectId, commitId: ids.get(`${name}^{}`) ?? objectId }
  }
  return undefined
}

export function wrongCommit(source: GitCheckout, actual: string): BuilderError {
  return new BuilderError('OCI_SOURCE_FAILED', `expected checksum to match ${source.checksum}, got ${actual}`, {
    hint: 'the ref names another commit than when its checksum was written down',
    details: { expected: source.checksum, actual },
  })
}
