import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { scrubCredentials } from '../base/errors.ts'
import { digestOf } from '../oci/digest.ts'
import { parseReference, repositoryOf } from '../oci/reference.ts'

/** What a build tells of the project that it is of. */
export interface ProjectFacts {
  readonly context?: string | undefined
  readonly file?: string | undefined
  readonly tags: readonly string[]
  /** The Dockerfile; undefined for a state. */
  readonly text: string | undefined
}

/**
 * By what the same project is known again, the nearest first: its directory, its git repository (wherever it was cloned to),
 * the repositories of its names, the text of its Dockerfile.
 */
export function projectScopes({ context = '.', file, tags, text }: ProjectFacts): readonly string[] {
  const isUrl = /^[a-z]+:\/\/|^git@/i.test(context)
  const dockerfile = basename(file ?? 'Dockerfile')
  const repository = isUrl ? addressOf(context) : context === '-' ? undefined : repositoryAround(resolve(context))
  return [
    ...(isUrl ? [] : [`dir ${resolve(context)} ${dockerfile}`]),
    ...(repository === undefined ? [] : [`repository ${repository} ${dockerfile}`]),
    ...new Set(tags.map((tag) => `image ${repositoryOf(parseReference(tag))}`)),
    ...(text === undefined ? [] : [`text ${digestOf(text)}`]),
  ]
}

/** Deeper contexts in a repository are not looked for it. */
const MAX_PARENTS = 32
const MAX_CONFIG_BYTES = 1024 * 1024

/** The address from which the repository around a directory was cloned, and where in it the directory lies. */
function repositoryAround(directory: string): string | undefined {
  let root = directory
  for (let depth = 0; depth < MAX_PARENTS; depth++) {
    const address = originOf(join(root, '.git', 'config'))
    if (address !== undefined) return `${address} ${relative(root, directory)}`
    const parent = dirname(root)
    if (parent === root) return undefined
    root = parent
  }
  return undefined
}

/** `url` of the remote `origin` in a git configuration. */
function originOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isFile() !== true || stat.size > MAX_CONFIG_BYTES) return undefined
  let config: string
  try {
    config = readFileSync(path, 'utf8')
  } catch {
    // Another user's repository: then nothing is known of it.
    return undefined
  }
  const section = /^[ \t]*\[remote "origin"\]([^[]*)/m.exec(config)?.[1] ?? ''
  const url = /^[ \t]*url[ \t]*=[ \t]*(\S+)/m.exec(section)?.[1]
  return url === undefined ? undefined : addressOf(url)
}

/** `git@host:owner/name.git` and `https://token@host/owner/name` are one repository. */
function addressOf(url: string): string {
  return scrubCredentials(url.replace(/#.*$/s, ''))
    .replace(/^[a-z+]+:\/\//i, '')
    .replace(/^[^/@]*@/, '')
    .replace(/^([^/:]+):(?!\d)/, '$1/')
    .replace(/\/$|\.git\/?$/, '')
}
