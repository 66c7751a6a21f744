import { BuilderError } from '../../base/errors.ts'
import type { SourceSpec } from '../../graph/op-specs.ts'

/** A commit of a repository, as the attributes of its source say it (BuildKit's `git.*`). */
export interface GitCheckout {
  readonly remote: string
  /** Branch, tag, full ref or commit; '' is the default branch. */
  readonly ref: string
  /** Without slashes at its ends; '' is the whole tree. */
  readonly subdirectory: string
  /** First hexadecimal digits of the commit that it must be; '' for any. */
  readonly checksum: string
  readonly keepGitDirectory: boolean
  readonly skipSubmodules: boolean
  /** Files get the time of the commit instead of that of the checkout. */
  readonly usesCommitTime: boolean
  /** The commit of `checksum` is fetched by its name; the ref is only what it is called. */
  readonly fetchByCommit: boolean
  readonly authTokenSecret: string | undefined
  readonly authHeaderSecret: string | undefined
  readonly sshId: string | undefined
  readonly knownHosts: string | undefined
}

const SHA = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/** A whole commit id, SHA-1 or SHA-256. */
export function isCommitId(text: string): boolean {
  return SHA.test(text)
}

/** Throws OCI_SOURCE_FAILED for what git must not be given: a ref or remote that begins like an option, a checksum that is none. */
export function readGitSpec(spec: SourceSpec): GitCheckout {
  const { attrs } = spec
  const hash = spec.identifier.indexOf('#')
  const fragment = hash < 0 ? '' : spec.identifier.slice(hash + 1)
  const colon = fragment.indexOf(':')
  const ref = colon < 0 ? fragment : fragment.slice(0, colon)
  const checksum = attrs['git.checksum'] ?? ''
  const remote =
    attrs['git.fullurl'] ??
    (hash < 0 ? spec.identifier : spec.identifier.slice(0, hash)).replace(/^git:\/\//, 'https://')
  if (ref.startsWith('-')) throw invalid(`invalid git ref ${JSON.stringify(ref)}`)
  if (remote.startsWith('-')) throw invalid(`invalid git remote ${JSON.stringify(remote)}`)
  if (checksum !== '' && !/^[0-9a-fA-F]+$/.test(checksum))
    throw invalid(`invalid checksum ${checksum} for Git URL, expected hex commit hash`)
  return {
    remote,
    ref,
    subdirectory: cleanSubdirectory(colon < 0 ? '' : fragment.slice(colon + 1)),
    checksum: checksum.toLowerCase(),
    keepGitDirectory: attrs['git.keepgitdir'] === 'true',
    skipSubmodules: attrs['git.skipsubmodules'] === 'true',
    usesCommitTime: attrs['git.mtime'] === 'commit',
    fetchByCommit: attrs['git.fetchbycommit'] === 'true',
    authTokenSecret: attrs['git.authtokensecret'],
    authHeaderSecret: attrs['git.authheadersecret'],
    sshId: attrs['git.mountsshsock'],
    knownHosts: attrs['git.knownsshhosts'],
  }
}

function cleanSubdirectory(path: string): string {
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  return kept.join('/')
}

function invalid(message: string): BuilderError {
  return new BuilderError('OCI_SOURCE_FAILED', message)
}
