import { atLeastOneArgument, commandWords, cutCommand } from '../arguments.ts'
import type { HealthcheckInstruction, RawInstruction } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import { parseDuration, parseInt32 } from '../quantities.ts'
import type { CutArguments, InstructionSyntax } from '../syntax.ts'
import { isSpaceCode, quote, upperCase } from '../../../../base/text.ts'

const FLAGS = {
  interval: 'string',
  timeout: 'string',
  'start-period': 'string',
  'start-interval': 'string',
  retries: 'string',
} as const

const MINIMUM_NS = 1_000_000

const NONE = { intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 }

export const healthcheckSyntax: InstructionSyntax<HealthcheckInstruction> = {
  keyword: 'healthcheck',
  cut: cutHealthcheck,
  parse(raw) {
    if (raw.args.length === 0) throw atLeastOneArgument('HEALTHCHECK')
    const type = upperCase(raw.args[0]!)
    if (type !== 'NONE') return { ...raw, kind: 'healthcheck', ...readCheck(raw, type) }
    // Flags of NONE are not looked at.
    if (raw.args.length > 1) throw new Complaint('HEALTHCHECK NONE takes no arguments')
    return { ...raw, kind: 'healthcheck', test: ['NONE'], ...NONE }
  },
}

function cutHealthcheck(rest: string): CutArguments {
  let end = 0
  while (end < rest.length && !isSpaceCode(rest.charCodeAt(end))) end++
  let next = end
  while (next < rest.length && isSpaceCode(rest.charCodeAt(next))) next++
  if (end === 0) return { args: [] }
  const { args, json = false } = cutCommand(rest.slice(next))
  return { args: [rest.slice(0, end), ...args], json }
}

function readCheck(raw: RawInstruction, type: string): Omit<HealthcheckInstruction, keyof RawInstruction | 'kind'> {
  const { strings } = readFlags(raw.flags, FLAGS)
  if (type !== 'CMD') throw new Complaint(`Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`)
  const words = commandWords(raw.args.slice(1), raw.json)
  if (words.length === 0) throw new Complaint('Missing command after HEALTHCHECK CMD')
  return {
    test: [raw.json ? 'CMD' : 'CMD-SHELL', ...words],
    intervalNs: readInterval('interval', strings.interval),
    timeoutNs: readInterval('timeout', strings.timeout),
    startPeriodNs: readInterval('start-period', strings['start-period']),
    startIntervalNs: readInterval('start-interval', strings['start-interval']),
    retries: readRetries(strings.retries),
  }
}

function readInterval(flag: string, text: string | undefined): number {
  if (text === undefined || text === '') return 0
  const duration = parseDuration(text)
  if (duration !== 0 && duration < MINIMUM_NS) {
    throw new Complaint(`Interval ${quote(flag)} cannot be less than 1ms`)
  }
  return duration
}

function readRetries(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  const retries = parseInt32(text)
  if (retries < 0) throw new Complaint(`--retries cannot be negative (${retries})`)
  return retries
}
