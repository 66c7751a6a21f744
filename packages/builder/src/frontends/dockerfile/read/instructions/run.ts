import { cutCommand, readCommandLine } from '../arguments.ts'
import type { NetworkMode } from '../../../../graph/op-specs.ts'
import type { RunInstruction, SecurityMode } from '../ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { readFlags } from '../flags.ts'
import { checkMount, parseDevice } from '../mount.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { quote } from '../../../../base/text.ts'

const FLAGS = { device: 'list', mount: 'list', network: 'string', security: 'string' } as const

export const runSyntax: InstructionSyntax<RunInstruction> = {
  keyword: 'run',
  takesHeredocs: true,
  cut: cutCommand,
  parse(raw) {
    const { strings, lists, used } = readFlags(raw.flags, FLAGS)
    const devices = (lists.device ?? []).map(parseDevice)
    const mountSpecs = lists.mount ?? []
    for (const spec of mountSpecs) checkMount(spec)
    return {
      ...raw,
      kind: 'run',
      command: readCommandLine(raw),
      mountSpecs,
      network: readNetwork(strings.network ?? 'default'),
      security: readSecurity(strings.security ?? 'sandbox'),
      devices,
      flagsUsed: used,
    }
  },
}

// BuildKit's three, whatever else this machine can give: a file that builds here builds there.
function readNetwork(value: string): NetworkMode {
  if (value === 'default' || value === 'none' || value === 'host') return value
  throw new Complaint(`invalid network mode ${quote(value)}`)
}

function readSecurity(value: string): SecurityMode {
  if (value === 'sandbox' || value === 'insecure') return value
  throw new Complaint(`security ${quote(value)} is not valid`)
}
