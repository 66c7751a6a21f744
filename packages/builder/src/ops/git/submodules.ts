import { existsSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BuilderError } from '../../base/errors.ts'
import type { Git, GitPlace } from './run-git.ts'

/** Deeper nests than any that people write; a submodule may name itself. */
const MAX_DEPTH = 20
const MAX_GITMODULES_BYTES = 1 << 20

interface Submodule {
  readonly name: string
  readonly path: string
  readonly url: string
}

/**
 * Checks the submodules of a checkout out, and theirs. Every `.gitmodules` is looked through before git acts on it:
 * what a git that lacks the last corrections would write elsewhere, or run, is refused here (CVE-2017-1000117,
 * 2018-11235, 2018-17456, 2024-32002, 2025-48384). Throws OCI_SOURCE_FAILED.
 */
export async function updateSubmodules(git: Git, place: GitPlace, depth = 0): Promise<void> {
  const top = place.workTree ?? place.directory!
  const submodules = await readSubmodules(git, top)
  if (submodules.length === 0) return
  if (depth === MAX_DEPTH) throw refused('', `submodules are nested more than ${MAX_DEPTH} deep`)
  for (const submodule of submodules) checkSubmodule(submodule, top)
  if (depth === 0) await forgetSubmodules(git, place)
  await git.run(['submodule', 'update', '--init', '--depth=1'], place)
  for (const { path } of submodules) {
    const inner = join(top, path)
    // Without it the path is listed, but no submodule of this commit.
    if (existsSync(join(inner, '.git'))) await updateSubmodules(git, { directory: inner }, depth + 1)
  }
}

/** The file that git itself reads, not the blob: attributes may change what is written. */
async function readSubmodules(git: Git, top: string): Promise<readonly Submodule[]> {
  const file = join(top, '.gitmodules')
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return []
  if (!stat.isFile() || stat.size > MAX_GITMODULES_BYTES) throw refused('', '.gitmodules is no ordinary file')
  const output = await git.run(['config', '--file', file, '-z', '--list'], { directory: top })
  const found = new Map<string, { path?: string; url?: string }>()
  for (const item of output.split('\0')) {
    const newline = item.indexOf('\n')
    const match = /^submodule\.(.*)\.(path|url|update)$/s.exec(newline < 0 ? item : item.slice(0, newline))
    if (match === null) continue
    const [, name = '', member] = match
    const value = newline < 0 ? '' : item.slice(newline + 1)
    if (member === 'update' && value.startsWith('!')) throw refused(name, 'its update is a command')
    found.set(name, { ...found.get(name), ...(member === 'update' ? {} : { [member!]: value }) })
  }
  return [...found].map(([name, { path = name, url = '' }]) => ({ name, path, url }))
}

/**
 * What an earlier checkout left in the shared repository: the addresses of its commit would stand for those of this one,
 * and another branch of the same repository chose them.
 */
async function forgetSubmodules(git: Git, place: GitPlace): Promise<void> {
  rmSync(join(place.gitDirectory!, 'modules'), { recursive: true, force: true })
  const file = join(place.gitDirectory!, 'config')
  const output = await git.run(['config', '--file', file, '-z', '--name-only', '--list'], place)
  const sections = new Set(output.split('\0').flatMap((key) => /^(submodule\..*)\.[^.]*$/s.exec(key)?.[1] ?? []))
  for (const section of sections) await git.run(['config', '--file', file, '--remove-section', section], place)
}

/** `https://…`, `ssh://…`, `git@host:…`, or a place beside the repository. */
const URL_FORMS =
  /^(?:(?:https?|ssh|git):\/\/(?!-)|\.\.?\/|(?:[A-Za-z0-9_][\w.-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):(?!:|\/\/))/i

function checkSubmodule({ name, path, url }: Submodule, workTree: string): void {
  for (const [what, text] of Object.entries({ name, path, url })) {
    // oxlint-disable-next-line no-control-regex -- a carriage return at the end is lost when git reads its own file
    if (/[\u0000-\u001f\u007f]/.test(text)) throw refused(name, `its ${what} holds a control character`)
    if (text.startsWith('-')) throw refused(name, `its ${what} looks like an option`)
  }
  if (name.split(/[/\\]/).includes('..')) throw refused(name, 'its name leads out of the repository')
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (path.startsWith('/') || parts.length === 0 || parts.some((part) => part === '..' || /^\.git$/i.test(part)))
    throw refused(name, 'its path leads out of the checkout')
  // One that is not to be checked out may have no address.
  if (url !== '' && !URL_FORMS.test(url))
    throw refused(name, `transport '${/^[^:/]*(?=::?)/.exec(url)?.[0] ?? 'file'}' not allowed`)
  let at = workTree
  for (const part of parts) {
    at = join(at, part)
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      throw refused(name, 'its path leads through a symbolic link')
  }
}

function refused(name: string, why: string): BuilderError {
  const which = name === '' ? '' : ` ${JSON.stringify(name.slice(0, 100))}`
  return new BuilderError('OCI_SOURCE_FAILED', `submodule${which} is refused: ${why}`, {
    hint: 'the repository may be hostile; without its submodules: ?submodules=false',
    details: { submodule: name },
  })
}
