import { readFileSync } from 'node:fs'
import { foreignPrograms } from '@ts-oci/runtime'
import type { BuilderNode, StoreOptions } from '../build/public-types.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import { defaultRoot } from '../store/paths.ts'

/** What builds here: this machine, there is no other. Asks the kernel, and opens no store. */
export function builderNode(options: StoreOptions = {}): BuilderNode {
  return { store: options.store ?? defaultRoot(process.env), platforms: stepPlatforms() }
}

/** As BuildKit lists those that are emulated: an architecture with the variants that its emulator runs. */
const FOREIGN: Readonly<Record<string, readonly string[]>> = {
  amd64: ['linux/amd64'],
  '386': ['linux/386'],
  arm64: ['linux/arm64'],
  arm: ['linux/arm/v7', 'linux/arm/v6'],
  riscv64: ['linux/riscv64'],
  ppc64: ['linux/ppc64'],
  ppc64le: ['linux/ppc64le'],
  s390x: ['linux/s390x'],
  mips64le: ['linux/mips64le'],
  mips64: ['linux/mips64'],
  loong64: ['linux/loong64'],
}

/** Platforms for which RUN works: this machine's, what its processor runs besides, what is registered with the kernel. */
function stepPlatforms(): readonly string[] {
  const host = hostPlatform()
  const own = formatPlatform(host)
  const variants = host.architecture === 'amd64' ? amd64Variants().map((variant) => `${own}/${variant}`) : []
  const foreign = Object.entries(FOREIGN).flatMap(([architecture, platforms]) => {
    if (architecture === host.architecture) return []
    const { kind } = foreignPrograms(architecture, host.architecture)
    return kind === 'processor' || kind === 'interpreter' ? platforms : []
  })
  return [...new Set([own, ...variants, ...foreign])]
}

/** Flags of /proc/cpuinfo that each level adds (x86-64 psABI). */
const LEVELS: readonly (readonly [variant: string, flags: readonly string[]])[] = [
  ['v2', ['cx16', 'lahf_lm', 'popcnt', 'sse4_1', 'sse4_2', 'ssse3']],
  ['v3', ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave']],
  ['v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
]

function amd64Variants(): readonly string[] {
  const flags = new Set(/^flags\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '))
  const missing = LEVELS.findIndex(([, needed]) => !needed.every((flag) => flags.has(flag)))
  return LEVELS.slice(0, missing < 0 ? LEVELS.length : missing).map(([variant]) => variant)
}
