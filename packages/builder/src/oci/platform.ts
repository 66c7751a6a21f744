import { BuilderError } from '../base/errors.ts'
import type { Platform } from './types.ts'

const COMPONENT = /^[A-Za-z0-9_.-]+$/
const OS_COMPONENT = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/
// As the reference implementation prints its patterns in messages.
const COMPONENT_TEXT = '^[A-Za-z0-9_.-]+$'
const OS_COMPONENT_TEXT = String.raw`^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$`

/** What Go knows; containerd takes others in a specifier of several words. */
export const KNOWN_OS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
)
export const KNOWN_ARCHITECTURES: ReadonlySet<string> = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
)

/** Platform of this process; containers are Linux wherever it runs. */
export function hostPlatform(): Platform {
  return normalizePlatform({
    os: 'linux',
    architecture: hostArchitecture(),
    ...(process.arch === 'arm' ? { variant: 'v7' } : {}),
  })
}

function hostArchitecture(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', mipsel: 'mipsle' }
  return process.arch === 'ppc64' ? 'ppc64le' : (names[process.arch] ?? process.arch)
}

/**
 * Reads a platform specifier: `os`, `arch`, `os/arch` or `os/arch/variant`, the OS optionally with version and features
 * (`windows(10.0.17763+win32k)`). What a single word leaves out is the host's.
 * @throws OCI_PLATFORM_INVALID with containerd's words.
 */
export function parsePlatform(specifier: string): Platform {
  if (specifier.includes('*'))
    throw invalid(`${JSON.stringify(specifier)}: wildcards not yet supported: invalid argument`)
  const parts = specifier.split('/')
  const head = parseOs(parts[0]!, specifier)
  for (const part of parts.slice(1, 4)) {
    if (!COMPONENT.test(part)) {
      throw invalid(
        `${JSON.stringify(part)} is an invalid component of ${JSON.stringify(specifier)}: platform specifier component must match ${JSON.stringify(COMPONENT_TEXT)}: invalid argument`,
      )
    }
  }
  if (parts.length === 1) return parseSingle(specifier, head)
  if (parts.length === 2) return { ...head, ...withoutDefaultVariant(normalizeArchitecture(parts[1]!, '')) }
  if (parts.length === 3) {
    const [architecture, variant] = normalizeArchitecture(parts[1]!, parts[2]!)
    return { ...head, architecture, ...variantMember(architecture === 'arm64' && variant === '' ? 'v8' : variant) }
  }
  throw invalid(`${JSON.stringify(specifier)}: cannot parse platform specifier: invalid argument`)
}

function parseOs(part: string, specifier: string): { os: string; 'os.version'?: string; 'os.features'?: string[] } {
  const match = OS_COMPONENT.exec(part)
  if (match === null) {
    throw invalid(
      `${JSON.stringify(part)} is an invalid OS component of ${JSON.stringify(specifier)}: OSAndVersion specifier component must match ${JSON.stringify(OS_COMPONENT_TEXT)}: invalid argument`,
    )
  }
  const version = decodeOption(match[2] ?? '')
  const features = (match[3] ?? '').split('+').slice(1).map(decodeOption)
  return {
    os: normalizeOs(match[1]!),
    ...(version === '' ? {} : { 'os.version': version }),
    ...(features.length === 0 ? {} : { 'os.features': features }),
  }
}

function decodeOption(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`invalid URL escape in ${JSON.stringify(text)}`)
  }
}

function parseSingle(specifier: string, head: { os: string }): Platform {
  if (KNOWN_OS.has(head.os)) return { ...head, architecture: hostArchitecture() }
  const [architecture, variant] = normalizeArchitecture(specifier, '')
  if (KNOWN_ARCHITECTURES.has(architecture)) return { os: 'linux', ...withoutDefaultVariant([architecture, variant]) }
  throw invalid(`${JSON.stringify(specifier)}: unknown operating system or architecture: invalid argument`)
}

function withoutDefaultVariant([architecture, variant]: readonly [string, string]): {
  architecture: string
  variant?: string
} {
  return { architecture, ...variantMember(architecture === 'arm' && variant === 'v7' ? '' : variant) }
}

function variantMember(variant: string): { variant?: string } {
  return variant === '' ? {} : { variant }
}

/** The one spelling of a platform: `x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`. */
export function normalizePlatform(platform: Platform): Platform {
  const [architecture, variant] = normalizeArchitecture(platform.architecture, platform.variant ?? '')
  const { variant: _, ...rest } = platform
  const features = platform['os.features']
  return {
    ...rest,
    os: normalizeOs(platform.os),
    architecture,
    ...variantMember(variant),
    ...(features === undefined || features.length === 0 ? {} : { 'os.features': [...new Set(features)].sort() }),
  }
}

function normalizeOs(os: string): string {
  if (os === '') return 'linux'
  const lower = os.toLowerCase()
  return lower === 'macos' ? 'darwin' : lower
}

function normalizeArchitecture(architecture: string, variant: string): readonly [string, string] {
  const name = architecture.toLowerCase()
  const form = variant.toLowerCase()
  switch (name) {
    case 'i386':
      return ['386', '']
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', form === 'v1' ? '' : form]
    case 'aarch64':
    case 'arm64':
      if (form === '8' || form === 'v8' || form === 'v8.0') return ['arm64', '']
      return ['arm64', form === '9' || form === '9.0' || form === 'v9.0' ? 'v9' : form]
    case 'armhf':
      return ['arm', 'v7']
    case 'armel':
      return ['arm', 'v6']
    case 'arm':
      if (form === '' || form === '7') return ['arm', 'v7']
      return ['arm', /^[568]$/.test(form) ? `v${form}` : form]
    default:
      return [name, form]
  }
}

/** `os/arch[/variant]`, without version and features. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === '') return 'unknown'
  return [platform.os, platform.architecture, platform.variant ?? ''].filter((part) => part !== '').join('/')
}

/** `os[(version+features)]/arch[/variant]`. */
export function formatPlatformFully(platform: Platform): string {
  const version = platform['os.version'] ?? ''
  const features = platform['os.features'] ?? []
  if (platform.os === '' || (version === '' && features.length === 0)) return formatPlatform(platform)
  const options = `(${encodeOption(version)}${features.map((feature) => `+${encodeOption(feature)}`).join('')})`
  return formatPlatform({ ...platform, os: `${platform.os}${options}` })
}

function encodeOption(text: string): string {
  return text.replace(/[%+()/]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

function invalid(message: string): BuilderError {
  return new BuilderError('OCI_PLATFORM_INVALID', message, {
    hint: 'write a platform as os/arch or os/arch/variant, such as linux/amd64',
  })
}
