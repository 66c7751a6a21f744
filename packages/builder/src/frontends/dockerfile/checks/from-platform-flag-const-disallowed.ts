import { parsePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import type { Expansion } from '../expand/types.ts'
import { quote } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const fromPlatformFlagConstDisallowed: CheckRule = {
  name: 'FromPlatformFlagConstDisallowed',
  description: 'FROM --platform flag should not use a constant value',
  url: documentationOf('from-platform-flag-const-disallowed'),
}

/** A stage whose name tells its platform means it. */
export function checkFromPlatformFlagConstDisallowed(
  stageName: string,
  expansion: Expansion,
  location: SourceRange,
  linter: Linter,
): void {
  if (expansion.matched.size > 0 || expansion.unmatched.size > 0) return
  const platform = platformIn(expansion.text)
  if (platform === undefined || stageName.includes(platform.os) || stageName.includes(platform.architecture)) return
  linter.report(
    fromPlatformFlagConstDisallowed,
    location,
    `FROM --platform flag should not use constant value ${quote(expansion.text)}`,
  )
}

// What cannot be read fails the build anyway, with a message of its own.
function platformIn(text: string): Platform | undefined {
  try {
    return parsePlatform(text)
  } catch {
    return undefined
  }
}
