import type { SourceRange } from '../../../../base/source.ts'
import type { ExposeInstruction } from '../../read/ast.ts'
import { checkExposeInvalidFormat } from '../../checks/expose-invalid-format.ts'
import { checkExposeProtoCasing } from '../../checks/expose-proto-casing.ts'
import type { Linter } from '../../checks/rule.ts'
import { Complaint } from '../../expand/complaint.ts'
import { expandWords } from '../../expand/expand.ts'
import { addHistory } from '../image-config.ts'
import { lowerCase, quote } from '../../../../base/text.ts'
import { environmentOf } from '../build-state.ts'
import type { Lowering } from '../context.ts'
import { formatList } from '../go-format.ts'

const MAX_PORT = 65_535
const DIGITS = /^[+-]?[0-9]+$/

export const lowerExpose: Lowering<ExposeInstruction> = ({ stage, epoch, linter, escape }, instruction) => {
  const env = environmentOf(stage.state)
  const words = instruction.ports.flatMap((port) => expandWords(port, env, { escape }))
  const ports = words.flatMap((word) => parsePort(word, instruction.location, linter))
  for (const port of ports) stage.image.config.exposedPorts.add(port)
  addHistory(stage.image, `EXPOSE ${formatList(ports)}`, false, epoch)
}

// [ip:][hostPort:]containerPort[-end][/protocol]; ip and host port say nothing in an image but are accepted.
function parsePort(word: string, location: SourceRange, linter: Linter): string[] {
  const { ip, hostPort, containerPort } = splitParts(word)
  const slash = containerPort.indexOf('/')
  const ports = slash === -1 ? containerPort : containerPort.slice(0, slash)
  const protocol = (slash === -1 ? '' : containerPort.slice(slash + 1)) || 'tcp'
  if (ports === '') throw new Complaint(`invalid port: ${quote(word)}: no port specified`)
  if (!['tcp', 'udp', 'sctp'].includes(lowerCase(protocol))) {
    throw new Complaint(`invalid port: ${quote(word)}: invalid proto: ${protocol}`)
  }
  checkExposeProtoCasing(word, protocol, location, linter)
  checkExposeInvalidFormat(word, ip, hostPort, location, linter)
  checkIp(ip)
  const range = parseRange(ports)
  if (range === undefined) throw new Complaint(`invalid containerPort: ${ports}`)
  checkHostPort(hostPort, ports, range)
  return Array.from(
    { length: range.end - range.start + 1 },
    (_, index) => `${range.start + index}/${lowerCase(protocol)}`,
  )
}

function splitParts(word: string): { ip: string; hostPort: string; containerPort: string } {
  const parts = word.split(':')
  const containerPort = parts.pop()!
  const hostPort = parts.pop() ?? ''
  return { ip: parts.join(':'), hostPort, containerPort }
}

function checkIp(ip: string): void {
  if (ip === '') return
  const inner = ip.startsWith('[') && ip.endsWith(']') ? ip.slice(1, -1) : ip
  // Not imported: few builds have an address here, and all would load the sockets.
  const { isIP } = process.getBuiltinModule('node:net')
  if (isIP(inner) === 0 || inner.includes('%')) throw new Complaint(`invalid IP address: ${inner}`)
}

function checkHostPort(hostPort: string, containerPort: string, range: PortRange): void {
  if (hostPort === '') return
  const hostRange = parseRange(hostPort)
  if (hostRange === undefined) throw new Complaint(`invalid hostPort: ${hostPort}`)
  const isEqualLength = range.end - range.start === hostRange.end - hostRange.start
  if (!isEqualLength && range.end !== range.start) {
    throw new Complaint(`invalid ranges specified for container and host Ports: ${containerPort} and ${hostPort}`)
  }
}

interface PortRange {
  readonly start: number
  readonly end: number
}

function parseRange(text: string): PortRange | undefined {
  const dash = text.indexOf('-')
  const start = parseNumber(dash === -1 ? text : text.slice(0, dash))
  if (start === undefined) return undefined
  if (dash === -1) return { start, end: start }
  const end = parseNumber(text.slice(dash + 1))
  return end === undefined || end < start ? undefined : { start, end }
}

function parseNumber(text: string): number | undefined {
  const number = DIGITS.test(text) ? Number(text) : Number.NaN
  return number >= 0 && number <= MAX_PORT ? number : undefined
}
