import { formatPlatformFully, normalizePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import { quote } from '../../../base/text.ts'
import type { CheckRule, Linter } from './rule.ts'

export const invalidBaseImagePlatform: CheckRule = {
  name: 'InvalidBaseImagePlatform',
  description: 'Base image platform does not match expected target platform',
}

export function checkInvalidBaseImagePlatform(
  name: string,
  expected: Platform,
  actual: Platform | undefined,
  location: SourceRange,
  linter: Linter,
): void {
  if (actual === undefined || (expected.os === actual.os && expected.architecture === actual.architecture)) return
  const [pulled, wanted] = [actual, expected].map((platform) => quote(formatPlatformFully(normalizePlatform(platform))))
  linter.report(
    invalidBaseImagePlatform,
    location,
    `Base image ${name} was pulled with platform ${pulled}, expected ${wanted} for current build`,
  )
}
