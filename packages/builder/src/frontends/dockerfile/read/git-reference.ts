/** Git repositories as ADD and build contexts name them: `https://host/repo.git#ref:subdir`, `?tag=v1&subdir=x`, `git@host:repo`. */
import { Complaint } from '../expand/complaint.ts'
import { joinPath } from './path.ts'
import { parseBoolean } from '../../../base/boolean.ts'
import { quote } from '../../../base/text.ts'

export interface GitReference {
  /** URL without fragment and query. */
  readonly remote: string
  /** `http`, `https`, `ssh` or `git`. */
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly ref: string
  readonly subdirectory: string
  readonly checksum: string
  readonly keepGitDir: boolean | undefined
  readonly submodules: boolean | undefined
  /** `checkout`, `commit` or empty. */
  readonly mtime: string
  readonly fetchByCommit: boolean
}

interface Location {
  readonly remote: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly fragment: string
  readonly query: string
}

const SCHEME = /^[a-zA-Z0-9]+:\/\//
const SCHEMES = new Set(['http', 'https', 'ssh', 'git'])
const URL_PARTS = /^([a-zA-Z0-9]+):\/\/(?:([^/?#]*)@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s
const SCP_PARTS = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/

/**
 * Reads the name of a repository; undefined when the text is none (a local path, or a URL of a file).
 * `github.com/…` without a scheme counts only where `allowBare` is set: in a Dockerfile it is a path.
 * @throws Complaint when it is one, with a query that makes no sense.
 */
export function parseGitReference(
  text: string,
  options: { readonly allowBare?: boolean } = {},
): GitReference | undefined {
  if (text.startsWith('./') || text.startsWith('../')) return undefined
  const isBare = text.startsWith('github.com/')
  if (isBare && options.allowBare !== true) return undefined
  const location = readLocation(isBare ? `https://${text}` : text)
  if (location === undefined) return undefined
  if (location.scheme.startsWith('http') && !isBare && !location.path.endsWith('.git')) return undefined
  const [ref, subdirectory] = readFragment(location.fragment)
  const { remote, scheme, host, path } = location
  const base: GitReference = {
    remote,
    scheme,
    host,
    path,
    ref,
    subdirectory,
    checksum: '',
    keepGitDir: undefined,
    submodules: undefined,
    mtime: '',
    fetchByCommit: false,
  }
  return applyQuery(base, location.query)
}

function readLocation(text: string): Location | undefined {
  if (SCHEME.test(text)) {
    const match = URL_PARTS.exec(text)
    const scheme = match?.[1]!.toLowerCase() ?? ''
    if (match === null || !SCHEMES.has(scheme)) return undefined
    const [, , user, host = '', path = '', query = '', fragment = ''] = match
    const remote = `${scheme}://${user === undefined ? '' : `${user}@`}${host}${path}`
    return { remote, scheme, host, path: decode(path), query, fragment: decode(fragment) }
  }
  const match = SCP_PARTS.exec(text)
  if (match === null) return undefined
  const [, user, host = '', path = '', query = '', fragment = ''] = match
  return { remote: `${user}@${host}:${path}`, scheme: 'ssh', host, path, query, fragment }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function readFragment(fragment: string): [ref: string, subdirectory: string] {
  const colon = fragment.indexOf(':')
  if (colon === -1) return [fragment, '']
  return [fragment.slice(0, colon), joinPath('/', fragment.slice(colon + 1)).slice(1)]
}

/** Keys that may stand without a value. */
const FLAGS = new Set(['submodules', 'keep-git-dir', 'fetch-by-commit'])

function applyQuery(base: GitReference, query: string): GitReference {
  const values = new URLSearchParams(query)
  let reference = base
  let tag = ''
  let branch = ''
  for (const key of new Set(values.keys())) {
    const [value = '', ...more] = values.getAll(key)
    if (more.length > 0) throw new Complaint(`query ${quote(key)} has multiple values`)
    if (value === '' && !FLAGS.has(key)) throw new Complaint(`query ${quote(key)} has no value`)
    if (key === 'tag') tag = value
    else if (key === 'branch') branch = value
    else reference = applyKey(reference, key, value)
  }
  if (tag !== '' && branch !== '') throw new Complaint('branch conflicts with tag')
  if (tag !== '') return withRef(reference, tag.startsWith('refs/tags/') ? tag : `refs/tags/${tag}`)
  if (branch !== '') return withRef(reference, branch.startsWith('refs/heads/') ? branch : `refs/heads/${branch}`)
  return reference
}

function applyKey(reference: GitReference, key: string, value: string): GitReference {
  switch (key) {
    case 'ref':
      return withRef(reference, value)
    case 'subdir':
      if (reference.subdirectory !== '' && reference.subdirectory !== value) {
        throw new Complaint(`subdir conflicts: ${quote(reference.subdirectory)} vs ${quote(value)}`)
      }
      return { ...reference, subdirectory: value }
    case 'checksum':
    case 'commit':
      return { ...reference, checksum: value }
    case 'keep-git-dir':
      return { ...reference, keepGitDir: readFlag(key, value) }
    case 'submodules':
      return { ...reference, submodules: readFlag(key, value) }
    case 'fetch-by-commit':
      return { ...reference, fetchByCommit: readFlag(key, value) }
    case 'mtime':
      if (value !== 'checkout' && value !== 'commit') {
        throw new Complaint(`invalid mtime value: ${quote(value)} (must be "checkout" or "commit")`)
      }
      return { ...reference, mtime: value }
    default:
      throw new Complaint(`unexpected query ${quote(key)}`)
  }
}

function withRef(reference: GitReference, ref: string): GitReference {
  if (reference.ref !== '' && reference.ref !== ref) {
    throw new Complaint(`ref conflicts: ${quote(reference.ref)} vs ${quote(ref)}`)
  }
  return { ...reference, ref }
}

function readFlag(key: string, value: string): boolean {
  const flag = value === '' ? true : parseBoolean(value)
  if (flag === undefined) throw new Complaint(`invalid ${key} value: ${quote(value)}`)
  return flag
}
