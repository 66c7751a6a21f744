import { booleanWord } from '../boolean-word.ts'
import { UsageError } from '../usage-error.ts'
import type { ForeignFlag } from './flag-row.ts'
import { foreignFlags } from './flags.ts'

/** Flags of other builders: which there are, and what of ours they are. */
export interface ForeignFlags {
  /** By what was typed: `--volume`, `-v`. */
  find(typed: string): ForeignFlag | undefined
  translate(flag: ForeignFlag, typed: string, value: string): readonly string[]
}

export const ofOtherBuilders: ForeignFlags = {
  find: (typed) => foreignFlags.find(({ name, char }) => typed === `--${name}` || typed === `-${char}`),
  translate,
}

/**
 * Our words for a flag of another builder: none where its wish is how `tsbuild` works anyway.
 * @throws UsageError with what to use, where there is no equivalent
 */
function translate(flag: ForeignFlag, typed: string, value: string): readonly string[] {
  const plain = flag.isBoolean === true ? booleanWord(value) : value
  if (plain === undefined) throw new UsageError(`invalid argument "${value}" for ${typed}`, { hint: 'true or false' })
  if (flag.done === 'any' || flag.done?.includes(plain)) return []
  if (flag.as !== undefined && (flag.when?.test(value) ?? true))
    return flag.as.map((word) => word.replaceAll('{}', () => value.replace(flag.strip ?? '', '')))
  const tool = flag.tool ?? 'others'
  // Other values of the flag are taken: that there is no such flag would be wrong.
  const message =
    flag.as === undefined && flag.done === undefined
      ? `${typed} is a flag of ${tool}, which tsbuild does not have`
      : `${typed}=${value}: ${typed} is a flag of ${tool}, and tsbuild does not take it with this value`
  throw new UsageError(message, { hint: flag.use })
}

/** What the reference of the flags says about one. */
export function describeForeign(flag: ForeignFlag): string {
  const { as, done, use } = flag
  const parts: string[] = []
  if (as !== undefined)
    parts.push(
      `as \`${as.map((word) => word.replace('{}', flag.name === 'context' ? 'CONTEXT' : 'VALUE')).join(' ')}\``,
    )
  if (done === 'any') parts.push('taken: nothing needs it here')
  else if (done !== undefined) parts.push(`\`${done.join('`, `')}\`: taken, it is so anyway`)
  if (use !== undefined && done !== 'any' && done?.length !== 2) parts.push(parts.length === 0 ? use : `else: ${use}`)
  return parts.join('; ')
}
