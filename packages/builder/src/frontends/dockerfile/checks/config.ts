/** `skip=A,B;error=true;experimental=all`: which checks speak, and whether they fail the build. */
import { Complaint } from '../expand/complaint.ts'
import { parseBoolean } from '../../../base/boolean.ts'
import { quote, trimSpace } from '../../../base/text.ts'

export interface CheckConfig {
  readonly skipAll: boolean
  readonly skip: ReadonlySet<string>
  readonly experimentalAll: boolean
  readonly experimental: ReadonlySet<string>
  readonly failOnFinding: boolean
}

export const DEFAULT_CHECKS: CheckConfig = {
  skipAll: false,
  skip: new Set(),
  experimentalAll: false,
  experimental: new Set(),
  failOnFinding: false,
}

/** More options than there are kinds of: the rest belongs to the value of the last. */
const MAX_OPTIONS = 3

/**
 * Reads the value of `# check=`, of a comment or of the build argument `BUILDKIT_DOCKERFILE_CHECK`.
 * @throws Complaint with BuildKit's words.
 */
export function parseCheckConfig(text: string): CheckConfig {
  const trimmed = trimSpace(text)
  if (trimmed === '') return DEFAULT_CHECKS
  let config = DEFAULT_CHECKS
  for (const option of splitOptions(trimmed)) config = readOption(config, option)
  return config
}

function splitOptions(text: string): string[] {
  const parts = text.split(';')
  return parts.length <= MAX_OPTIONS
    ? parts
    : [...parts.slice(0, MAX_OPTIONS - 1), parts.slice(MAX_OPTIONS - 1).join(';')]
}

function readOption(config: CheckConfig, option: string): CheckConfig {
  const at = option.indexOf('=')
  if (at === -1) throw new Complaint(`invalid check option ${quote(option)}`)
  const key = trimSpace(option.slice(0, at))
  const value = trimSpace(option.slice(at + 1))
  switch (key) {
    case 'skip':
      return value === 'all' ? { ...config, skipAll: true } : { ...config, skip: readNames(value) }
    case 'experimental':
      return value === 'all' ? { ...config, experimentalAll: true } : { ...config, experimental: readNames(value) }
    case 'error': {
      const failOnFinding = parseBoolean(value)
      if (failOnFinding === undefined) {
        throw new Complaint(
          `failed to parse check option ${quote(option)}: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`,
        )
      }
      return { ...config, failOnFinding }
    }
    default:
      throw new Complaint(`invalid check option ${quote(key)}`)
  }
}

function readNames(value: string): ReadonlySet<string> {
  return new Set(value.split(',').map(trimSpace))
}

/** Adds what a comment above an instruction says; it can neither allow again nor make findings errors. */
export function mergeCheckConfig(config: CheckConfig, other: CheckConfig): CheckConfig {
  return {
    skipAll: config.skipAll || other.skipAll,
    skip: other.skip.size === 0 ? config.skip : new Set([...config.skip, ...other.skip]),
    experimentalAll: config.experimentalAll || other.experimentalAll,
    experimental:
      other.experimental.size === 0 ? config.experimental : new Set([...config.experimental, ...other.experimental]),
    failOnFinding: config.failOnFinding,
  }
}
