import type { SourceRange } from '../../../base/source.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const exposeInvalidFormat: CheckRule = {
  name: 'ExposeInvalidFormat',
  description:
    'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
  url: documentationOf('expose-invalid-format'),
}

export function checkExposeInvalidFormat(
  port: string,
  ip: string,
  hostPort: string,
  location: SourceRange,
  linter: Linter,
): void {
  if (ip === '' && hostPort === '') return
  linter.report(
    exposeInvalidFormat,
    location,
    `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  )
}
