import { isComplaint } from '../expand/complaint.ts'
import { type CheckConfig, mergeCheckConfig, parseCheckConfig } from './config.ts'
import type { CheckFinding, Linter } from './rule.ts'

/** A directive in a comment's text: `check=skip=all`. */
const CHECK_COMMENT = /^check\s*=\s*(.+?)\s*$/i

/** Hands every finding that the configuration lets through to `sink`. */
export function createLinter(config: CheckConfig, sink: (finding: CheckFinding) => void): Linter {
  return {
    report(rule, location, message) {
      if (speaks(config, rule.name, rule.experimental === true)) sink({ rule, location, message })
    },
    forComments(comments) {
      const merged = configFromComments(config, comments)
      return merged === config ? this : createLinter(merged, sink)
    },
  }
}

function speaks(config: CheckConfig, name: string, experimental: boolean): boolean {
  if (experimental) return config.experimentalAll || config.experimental.has(name)
  return !config.skipAll && !config.skip.has(name)
}

// The first directive counts; one that cannot be read is as if it were not there.
function configFromComments(config: CheckConfig, comments: readonly string[]): CheckConfig {
  for (const comment of comments) {
    const value = CHECK_COMMENT.exec(comment)?.[1]
    if (value === undefined) continue
    try {
      return mergeCheckConfig(config, parseCheckConfig(value.split(' ', 1)[0]!))
    } catch (error) {
      if (isComplaint(error)) return config
      throw error
    }
  }
  return config
}

/** The message of a build that findings fail, undefined when nothing was found or findings do not matter. */
export function violationOf(config: CheckConfig, findings: readonly CheckFinding[]): string | undefined {
  if (!config.failOnFinding || findings.length === 0) return undefined
  const names = new Set(findings.map((finding) => finding.rule.name))
  return `lint violation found for rules: ${[...names].join(', ')}`
}
