import { booleanWord } from '../boolean-word.ts'
import { UsageError } from '../usage-error.ts'

/**
 * kaniko's `git://HOST/REPOSITORY#REF#COMMIT` as a context of ours: it fetches by https (or `$GIT_PULL_METHOD`), takes
 * submodules only where it is told to, and its working copy has a `.git`.
 * @param options of `--git`: `branch=main`
 * @param path of `--context-sub-path`
 * @returns undefined for what is no repository
 * @throws UsageError
 */
export function gitContext(context: string, options: readonly string[], path: string | undefined): string | undefined {
  if (!context.startsWith('git://')) {
    if (/^[^#]+\.git(?:#[^:]*)?$/.test(context) && path) return inRepository(context, path)
    return undefined
  }
  const given = new Map(options.map((option) => splitOption(option)))
  const [repository = '', ref, commit] = context.slice('git://'.length).split('#')
  const method = process.env['GIT_PULL_METHOD'] === 'http' ? 'http' : 'https'
  const url = `${method}://${repository.replace(/\/$/, '').replace(/\.git$/, '')}.git`
  const query = ['keep-git-dir=true', ...(isOn(given.get('recurse-submodules')) ? [] : ['submodules=false'])]
  // A commit is checked out wherever the reference is by now.
  const wanted = commit ?? given.get('branch') ?? ref ?? ''
  const where = path === undefined || path === '' ? wanted : `${wanted}:${path}`
  return `${url}?${query.join('&')}${where === '' ? '' : `#${where}`}`
}

function inRepository(context: string, path: string): string {
  return `${context}${context.includes('#') ? '' : '#'}:${path}`
}

function splitOption(option: string): readonly [string, string] {
  const at = option.indexOf('=')
  return [option.slice(0, at), option.slice(at + 1)]
}

function isOn(value: string | undefined): boolean {
  if (value === undefined) return false
  const word = booleanWord(value)
  if (word === undefined) throw new UsageError(`invalid argument "recurse-submodules=${value}" for --git`)
  return word === 'true'
}
