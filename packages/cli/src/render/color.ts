import { styleText } from 'node:util'

type Env = Readonly<Record<string, string | undefined>>

/**
 * Whether what a person reads is coloured: FORCE_COLOR decides, as in Node; then NO_COLOR (no-color.org) and CLICOLOR_FORCE;
 * else a terminal that is not dumb has colours.
 */
export function wantsColor(env: Env, isTerminal: boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: none, CLICOLOR_FORCE: cliForced, CLICOLOR: cli, TERM: term } = env
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (none) return false
  if (cliForced && cliForced !== '0') return true
  return isTerminal && term !== 'dumb' && cli !== '0'
}

/** An error with its first word, its hint and the marked lines of its frame in colours. */
export function colorError(text: string): string {
  return text
    .replaceAll(/^ERROR:/gm, (word) => paint(['bold', 'red'], word))
    .replaceAll(/^ {2}hint:/gm, (word) => paint('cyan', word))
    .replaceAll(/^ *\d+ \| >>> .*$/gm, (line) => paint('red', line))
}

function paint(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { validateStream: false })
}
