import type { SourceRange } from '../../../base/source.ts'
import { lowerCase } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const exposeProtoCasing: CheckRule = {
  name: 'ExposeProtoCasing',
  description: 'Protocol in EXPOSE instruction should be lowercase',
  url: documentationOf('expose-proto-casing'),
}

export function checkExposeProtoCasing(port: string, protocol: string, location: SourceRange, linter: Linter): void {
  if (protocol === lowerCase(protocol)) return
  linter.report(exposeProtoCasing, location, `Defined protocol '${port}' in EXPOSE instruction should be lowercase`)
}
