import { readFileSync } from 'node:fs'

// Loaded by bin/run.js before anything else, and alone: what answers without building should take hardly longer than Node's
// own start. So the texts are made when the package is built (scripts/help.mjs), and nothing of ours is imported here.

/** Widths for which the texts are made, smallest first. */
export const HELP_WIDTHS: readonly number[] = [80, 100, 120]

/**
 * The answer to a plain question for version or help, `tsbuild --version`, `tsbuild build --help --all`; undefined for every
 * other command line.
 * @param columns of the terminal; undefined where there is none
 */
export function plainAnswer(argv: readonly string[], columns: number | undefined): string | undefined {
  const [first, ...more] = argv
  if (more.length === 0 && (first === '--version' || first === '-v')) return version()
  const isAll = argv.at(-1) === '--all'
  const words = isAll ? argv.slice(0, -1) : argv
  const last = words.at(-1)
  if (words.length === 0) return isAll ? undefined : helpOf('', false, columns)
  if (first === 'help') return helpOf(words.slice(1).join(' '), isAll, columns)
  if (last === '--help' || last === '-h') return helpOf(words.slice(0, -1).join(' '), isAll, columns)
  return undefined
}

/** The help of a command, of `debug`, or with an empty name of `tsbuild`; undefined when there is no such command. */
export function helpOf(name: string, isAll: boolean, columns: number | undefined): string | undefined {
  if (!/^[a-z ]*$/.test(name)) return undefined
  const width = HELP_WIDTHS.findLast((one) => one <= (columns ?? 0)) ?? HELP_WIDTHS[0]
  const file = `${name.replaceAll(' ', '-') || 'tsbuild'}${isAll ? '.all' : ''}.txt`
  try {
    return readFileSync(new URL(`${width}/${file}`, import.meta.url), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return isAll ? helpOf(name, false, columns) : undefined
  }
}

/** `tsbuild X.Y.Z` */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return `tsbuild ${(JSON.parse(text) as { version: string }).version}\n`
}
