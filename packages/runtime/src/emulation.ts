import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** How programs of another architecture run here. Architectures are Go's words: `arm64`, `386`. */
export type ForeignPrograms =
  /** The processor may run them itself (386 on amd64, arm on arm64); the kernel says at the first one. */
  | { readonly kind: 'processor' }
  /** By an interpreter that binfmt_misc knows. `isOpen`: the kernel holds it open (flag F), else it is looked for in the step's root. */
  | { readonly kind: 'interpreter'; readonly path: string; readonly isOpen: boolean }
  /** Nothing is registered for them. */
  | { readonly kind: 'none' }
  /** What is registered cannot be read here, as in most containers: only the attempt shows it. */
  | { readonly kind: 'unknown' }

/** Class (1: 32 bits, 2: 64), data (1: little endian, 2: big) and machine of an ELF header. Source: elf.h. */
const ELF: Readonly<Record<string, readonly [elfClass: number, data: number, machine: number]>> = {
  '386': [1, 1, 3],
  amd64: [2, 1, 62],
  arm: [1, 1, 40],
  arm64: [2, 1, 183],
  loong64: [2, 1, 258],
  mips: [1, 2, 8],
  mips64: [2, 2, 8],
  mips64le: [2, 1, 8],
  mipsle: [1, 1, 8],
  ppc64: [2, 2, 21],
  ppc64le: [2, 1, 21],
  riscv64: [2, 1, 243],
  s390x: [2, 2, 22],
}

const BY_PROCESSOR: Readonly<Record<string, string>> = { '386': 'amd64', arm: 'arm64' }

/** Finds out by reading what is registered, and runs nothing. Takes less than a millisecond. */
export function foreignPrograms(
  architecture: string,
  host: string,
  registrations = '/proc/sys/fs/binfmt_misc',
): ForeignPrograms {
  if (BY_PROCESSOR[architecture] === host) return { kind: 'processor' }
  const elf = ELF[architecture]
  if (elf === undefined) return { kind: 'none' }
  const status = readOrNothing(join(registrations, 'status'))
  if (status === undefined) return { kind: 'unknown' }
  if (!status.startsWith('enabled')) return { kind: 'none' }
  const header = headerOf(elf)
  // Of several the kernel takes the one that was registered last, which cannot be seen: what may work is not refused.
  let found: ForeignPrograms = { kind: 'none' }
  for (const name of readdirSync(registrations)) {
    if (name === 'register' || name === 'status') continue
    const entry = parseEntry(readOrNothing(join(registrations, name)) ?? '')
    if (entry === undefined || !matches(entry, header)) continue
    found = { kind: 'interpreter', path: entry.interpreter, isOpen: entry.flags.includes('F') }
    if (found.isOpen) break
  }
  return found
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

interface Entry {
  readonly interpreter: string
  readonly flags: string
  readonly offset: number
  readonly magic: Buffer
  readonly mask: Buffer | undefined
}

/** As the kernel shows one: a line for each of its members. Undefined for one that is off or goes by the end of a name. */
function parseEntry(text: string): Entry | undefined {
  const member = (name: string): string | undefined => new RegExp(`^${name} ?(.*)$`, 'm').exec(text)?.[1]
  const [interpreter, magic, mask] = [member('interpreter'), member('magic'), member('mask')]
  if (!text.startsWith('enabled') || interpreter === undefined || magic === undefined) return undefined
  return {
    interpreter,
    flags: member('flags:') ?? '',
    offset: Number(member('offset') ?? 0),
    magic: Buffer.from(magic, 'hex'),
    mask: mask === undefined ? undefined : Buffer.from(mask, 'hex'),
  }
}

function matches({ offset, magic, mask }: Entry, header: Buffer): boolean {
  return magic.every((byte, index) => {
    const bits = mask?.[index] ?? 0xff
    return ((header[offset + index] ?? 0) & bits) === (byte & bits)
  })
}

/** The beginning of a program. */
function headerOf([elfClass, data, machine]: (typeof ELF)[string]): Buffer {
  const header = Buffer.alloc(128)
  header.set([0x7f, 0x45, 0x4c, 0x46, elfClass, data, 1])
  const write = (value: number, at: number): unknown =>
    data === 2 ? header.writeUInt16BE(value, at) : header.writeUInt16LE(value, at)
  const EXECUTABLE = 2
  write(EXECUTABLE, 16)
  write(machine, 18)
  return header
}
