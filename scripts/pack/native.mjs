// The native parts of a release: an addon and a launcher for each architecture, each for glibc and musl alike.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, stop } from '../setup.mjs'

const folder = join(root, 'packages', 'runtime', 'dist', 'native')

/** Node's name of an architecture → `e_machine` of its ELF files. */
const MACHINES = { x64: 62, arm64: 183 }
const E_MACHINE_OFFSET = 18

/** Files as `{ from, to }`; `which`: `here` for the architecture of this machine, `all` for every one. */
export function nativeParts(which) {
  const architectures = which === 'here' ? [process.arch] : Object.keys(MACHINES)
  return architectures.flatMap((arch) => ['addon.node', 'launcher'].map((file) => partOf(arch, file)))
}

function partOf(arch, file) {
  const from = join(folder, arch, file)
  if (!existsSync(from)) stop(`${from} is missing`, arch === process.arch ? 'npm run build' : 'npm run native -- --all')
  const bytes = readFileSync(from)
  const isElf = bytes.subarray(0, 4).toString('latin1') === '\x7fELF'
  if (!isElf || bytes.readUInt16LE(E_MACHINE_OFFSET) !== MACHINES[arch]) stop(`${from} is not for ${arch}`)
  return { from, to: `dist/native/${arch}/${file}` }
}
