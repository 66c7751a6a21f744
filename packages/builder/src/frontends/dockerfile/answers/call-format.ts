/** Answers of `--call` as `docker buildx build` prints them, for people and as JSON. */
import type { BuilderError } from '../../../base/errors.ts'
import { goJsonIndented } from '../../../oci/go-json.ts'
import { codeFrame, type SourceFile, type SourceRange } from '../../../base/source.ts'
import type { LintResult } from './lint.ts'
import type { DockerfileOutline } from './outline.ts'
import type { TargetList } from './targets.ts'
import { encodeText } from '../../../base/text.ts'

/** What is printed, and where to. */
export interface CallOutput {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/** `--call=check` (and `--check`). Any finding makes the exit code 1. */
export function formatCheck(result: LintResult): CallOutput {
  const findings = result.findings.toSorted((a, b) => a.location.start.line - b.location.start.line)
  const head =
    findings.length === 0 && result.errors.length > 0 ? '' : `Check complete, ${countText(findings.length)}\n`
  const body = findings.map(({ rule, message, location }) => {
    const url = rule.url === undefined ? '' : ` - ${rule.url}`
    return `\nWARNING: ${rule.name}${url}\n${message}\n${codeFrame(location)}`
  })
  const end = findings.length > 0 && result.errors.length > 0 ? '\n' : ''
  return { stdout: head + body.join('') + end, stderr: formatErrors(result.errors), exitCode: exitCodeOf(result) }
}

function countText(count: number): string {
  if (count === 0) return 'no warnings found.'
  return count === 1 ? '1 warning has been found!' : `${count} warnings have been found!`
}

function formatErrors(errors: readonly BuilderError[]): string {
  return errors.map((error) => `ERROR: ${error.message}\n${error.codeFrame ?? ''}\n`).join('')
}

function exitCodeOf({ findings, errors }: LintResult): number {
  return findings.length > 0 || errors.length > 0 ? 1 : 0
}

/** `--call=check,format=json`. Errors beyond the first stand in `buildErrors`, which BuildKit has not. */
export function formatCheckJson(result: LintResult): CallOutput {
  const [first, ...more] = result.errors.map(errorJson)
  const json = {
    warnings:
      result.findings.length === 0
        ? null
        : result.findings.map(({ rule, message, location }) => ({
            ruleName: rule.name,
            description: rule.description,
            url: rule.url,
            detail: message,
            location: locationJson(location),
          })),
    sources: [{ filename: baseNameOf(result.source), data: base64(result.source), language: 'Dockerfile' }],
    buildError: first,
    buildErrors: more.length === 0 ? undefined : [first, ...more],
  }
  return { stdout: `${goJsonIndented(json)}\n`, stderr: formatErrors(result.errors), exitCode: exitCodeOf(result) }
}

interface ErrorJson {
  readonly message: string
  readonly location: object
}

function errorJson({ message, location }: BuilderError): ErrorJson {
  if (location === undefined) return { message, location: {} }
  return { message, location: { ranges: [lineRange(location.startLine, location.endLine)] } }
}

function locationJson(location: SourceRange): object {
  return { ranges: [lineRange(location.start.line, location.end.line)] }
}

function lineRange(start: number, end: number): object {
  return { start: { line: start }, end: { line: end } }
}

function baseNameOf(source: SourceFile): string {
  return source.name.slice(source.name.lastIndexOf('/') + 1)
}

function base64(source: SourceFile): string {
  return encodeText(source.text).toString('base64')
}

/** `--call=outline`. */
export function formatOutline(outline: DockerfileOutline): string {
  const { name, description } = outline
  const head = [['TARGET:', name || '(default)'], ...(description === '' ? [] : [['DESCRIPTION:', description]])]
  const tables = [
    name === '' && description === '' ? '' : table(head, 1),
    outline.args.length === 0
      ? ''
      : table(
          [['BUILD ARG', 'VALUE', 'DESCRIPTION'], ...outline.args.map((arg) => [arg.name, arg.value, arg.description])],
          3,
        ),
    outline.secrets.length === 0 ? '' : table([['SECRET', 'REQUIRED'], ...outline.secrets.map(requirementRow)], 3),
    outline.ssh.length === 0 ? '' : table([['SSH', 'REQUIRED'], ...outline.ssh.map(requirementRow)], 3),
  ]
  return tables
    .filter((text) => text !== '')
    .map((text) => `${text}\n`)
    .join('')
}

function requirementRow({ name, required }: { readonly name: string; readonly required: boolean }): string[] {
  return [name, required ? 'true' : '']
}

/** `--call=outline,format=json`. */
export function formatOutlineJson(outline: DockerfileOutline): string {
  const json = {
    name: outline.name || undefined,
    description: outline.description || undefined,
    args: list(
      outline.args.map((arg) => ({
        name: arg.name,
        description: arg.description || undefined,
        value: arg.value || undefined,
        location: locationJson(arg.location),
      })),
    ),
    secrets: list(outline.secrets.map(requirementJson)),
    ssh: list(outline.ssh.map(requirementJson)),
    sources: [base64(outline.source)],
  }
  return `${goJsonIndented(json)}\n`
}

function requirementJson({ name, required, location }: DockerfileOutline['secrets'][number]): object {
  return { name, required: required || undefined, location: locationJson(location) }
}

function list(items: readonly object[]): readonly object[] | undefined {
  return items.length === 0 ? undefined : items
}

/** `--call=targets`. */
export function formatTargets({ targets }: TargetList): string {
  const rows = targets.map(({ name, description, isDefault }) => [
    isDefault ? `${name} (default)`.trimStart() : name,
    description,
  ])
  return table([['TARGET', 'DESCRIPTION'], ...rows], 1)
}

/** `--call=targets,format=json`. */
export function formatTargetsJson({ targets, source }: TargetList): string {
  const json = {
    targets: targets.map(({ name, isDefault, description, base, platform, location }) => ({
      name: name || undefined,
      default: isDefault || undefined,
      description: description || undefined,
      base: base || undefined,
      platform: platform || undefined,
      location: locationJson(location),
    })),
    sources: [base64(source)],
  }
  return `${goJsonIndented(json)}\n`
}

// Each column but the last is as wide as its widest cell and the gap.
function table(rows: readonly (readonly string[])[], gap: number): string {
  const columns = rows[0]!.length
  const widths = Array.from(
    { length: columns - 1 },
    (_, column) => Math.max(...rows.map((row) => lengthOf(row[column]!))) + gap,
  )
  return rows.map((row) => `${row.map((cell, column) => pad(cell, widths[column])).join('')}\n`).join('')
}

function pad(cell: string, width: number | undefined): string {
  return width === undefined ? cell : cell + ' '.repeat(width - lengthOf(cell))
}

function lengthOf(text: string): number {
  return Array.from(text).length
}
