import type { SourceRange } from '../../../base/source.ts'
import { quote } from '../../../base/text.ts'
import { type CheckRule, documentationOf, type Linter } from './rule.ts'

export const secretsUsedInArgOrEnv: CheckRule = {
  name: 'SecretsUsedInArgOrEnv',
  description: 'Sensitive data should not be used in the ARG or ENV commands',
  url: documentationOf('secrets-used-in-arg-or-env'),
}

const DENIED = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i
const ALLOWED = /(?:_|^)(?:public|file|version)(?:_|$)/i

export function checkSecretsUsedInArgOrEnv(
  keyword: 'ARG' | 'ENV',
  name: string,
  location: SourceRange,
  linter: Linter,
): void {
  if (!DENIED.test(name) || ALLOWED.test(name)) return
  linter.report(
    secretsUsedInArgOrEnv,
    location,
    `Do not use ARG or ENV instructions for sensitive data (${keyword} ${quote(name)})`,
  )
}
