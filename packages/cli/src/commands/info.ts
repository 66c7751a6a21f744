import type { IsolationReport, MachineReport } from '@ts-oci/builder'
import { isolations, snapshots } from '@ts-oci/builder/families'
import { defineCommand } from '../define-command.ts'
import { info } from '../flags.ts'
import { humanSize } from '../render/units.ts'

export const InfoCommand = defineCommand(info, async ({ flags }, io) => {
  const library = await import('@ts-oci/builder')
  const report = await library.info({ store: flags.store, signal: io.signal })
  if (flags.format === undefined) io.stdout.write(describe(report))
  else {
    const { fillTemplate } = await import('../go-template/fill-template.ts')
    const text = flags.format === 'json' ? '{{json .}}' : flags.format
    io.stdout.write(`${fillTemplate(text, report, { isStrict: true })}\n`)
  }
  return 0
})

function describe(report: MachineReport): string {
  const free = report.storeFreeBytes === undefined ? '' : ` (${humanSize(report.storeFreeBytes)} free)`
  const entry = isolations.find(({ name }) => name === report.isolation)
  const lines = [
    `Platform:   ${report.platform}, Linux ${report.kernel}`,
    `Node.js:    ${report.node}`,
    `User:       ${report.user}`,
    `Store:      ${report.store}${free}`,
    ...problemLines(report.storeProblem),
    `Isolation:  ${entry === undefined ? noIsolation(report) : `${entry.name}${'mountsNothing' in entry ? ` (${entry.summary})` : ''}`}`,
    ...report.isolations.flatMap(isolationLines),
    ...snapshotLines(report),
    ...networkLines(report),
    `File jobs:  ${fileJobs(report.fileJobs, entry === undefined || !('mountsNothing' in entry))}`,
  ]
  return `${lines.join('\n')}\n`
}

/** Of the isolation that builds take. */
function snapshotLines({ isolations: tried, isolation }: MachineReport): string[] {
  const taken = tried.find(({ mode }) => mode === isolation)?.snapshots
  if (taken === undefined) return []
  const summary = snapshots.find(({ name }) => name === taken.kind)?.summary
  return [
    `Snapshots:  ${taken.kind} (${summary})`,
    ...taken.passedOver.flatMap(({ kind, reason, hint }) => [`  not ${kind}: ${reason}`, `    hint: ${hint}`]),
  ]
}

const networkWords = {
  nat: "the step's own, behind NAT",
  pasta: "the step's own, through pasta",
  host: 'host',
  none: 'none',
} as const

function networkLines({ network }: MachineReport): string[] {
  if (network === undefined) return []
  const reason = network.reason === undefined ? '' : `: ${network.reason}`
  return [`Network:    ${networkWords[network.kind]}${reason}`]
}

function problemLines(problem: MachineReport['storeProblem']): string[] {
  if (problem === undefined) return []
  return [`  cannot be used: ${problem.reason}`, ...(problem.hint === undefined ? [] : [`    hint: ${problem.hint}`])]
}

function noIsolation({ isolations }: MachineReport): string {
  const other = isolations.find(({ isUsable }) => isUsable)
  if (other === undefined) return 'none: only Dockerfiles without RUN can be built'
  return `none by itself: build with --isolation=${other.mode}`
}

function fileJobs({ isConfined, landlock, reason }: MachineReport['fileJobs'], mounts: boolean): string {
  const how = isConfined
    ? `confined by ${mounts ? 'mounts, ' : ''}a filter${landlock >= 2 ? ` and Landlock (${landlock})` : ''}`
    : 'not confined'
  return reason === undefined ? how : `${how}; ${reason}`
}

function isolationLines({ mode, isUsable, ids, reason, hint }: IsolationReport): string[] {
  const words = {
    all: 'every user id',
    shifted: 'a range of user ids',
    subordinate: 'subordinate user ids',
    single: 'one user id',
  }
  const lines = [`  ${mode}: ${isUsable ? `works, with ${words[ids ?? 'all']}` : `does not work: ${reason}`}`]
  if (isUsable && reason !== undefined) lines.push(`    missing: ${reason}`)
  if (hint !== undefined) lines.push(`    hint: ${hint}`)
  return lines
}
