/** Names of vertices as BuildKit shows them: `[build 2/5] RUN npm ci`. */
import type { VertexMetadata } from '../../../graph/types.ts'
import { formatPlatformFully, normalizePlatform, parsePlatform } from '../../../oci/platform.ts'
import type { Platform } from '../../../oci/types.ts'
import type { SourceRange } from '../../../base/source.ts'
import { toErrorLocation } from '../read/errors.ts'
import { expandWord } from '../expand/expand.ts'
import { type Environment, type ExpandOptions } from '../expand/types.ts'
import { trimSpace, upperCase } from '../../../base/text.ts'
import type { StageNaming } from './stage-state.ts'

export interface NameOptions {
  /** Show the platform: several are built at once. */
  readonly multiPlatform: boolean
  readonly platform: Platform | undefined
  /** Variables that may name another target: `linux/amd64->arm64`. */
  readonly env?: Environment
}

/** The name with its place in the stage in front; counts the stage's commands on. */
export function nameInStage(stage: StageNaming, text: string, options: NameOptions): string {
  const { steps } = stage
  if (steps.total === 0) return text
  steps.index++
  const total = String(steps.total)
  const index = String(steps.index).padStart(total.length)
  const platform =
    options.multiPlatform && options.platform !== undefined ? `${platformName(options.platform, options.env)} ` : ''
  const name = stage.displayName === '' ? '' : `${stage.displayName} `
  return `[${platform}${name}${index}/${total}] ${steps.isInTrigger ? 'ONBUILD ' : ''}${text}`
}

function platformName(platform: Platform, env: Environment | undefined): string {
  const shown = formatPlatformFully(platform)
  const target = env === undefined ? undefined : targetPlatform(env)
  if (target === undefined) return shown
  const full = normalizePlatform({
    ...target,
    os: target.os || platform.os,
    architecture: target.architecture || platform.architecture,
  })
  if (full.os !== platform.os) return `${shown}->${formatPlatformFully(full)}`
  if (full.architecture === platform.architecture) return shown
  return `${shown}->${full.architecture}${full.variant === undefined ? '' : `/${full.variant}`}`
}

function targetPlatform(env: Environment): Platform | undefined {
  let found: Platform | undefined
  for (const key of env.keys()) {
    const value = env.get(key) ?? ''
    const known: Platform = found ?? { os: '', architecture: '' }
    if (key === 'TARGETPLATFORM') {
      const platform = tryParsePlatform(value)
      if (platform !== undefined) return platform
    } else if (key === 'TARGETOS') found = { ...known, os: value }
    else if (key === 'TARGETARCH') found = { ...known, architecture: value }
    else if (key === 'TARGETVARIANT') found = { ...known, variant: value }
  }
  return found
}

function tryParsePlatform(text: string): Platform | undefined {
  try {
    return parsePlatform(text)
  } catch {
    return undefined
  }
}

/** A longer name is shown as it is written. */
const MAX_NAME_LENGTH = 0x1_0000

/** An instruction as a name shows it: keyword in upper case, variables expanded; as written where that fails. */
export function commandName(original: string, env: Environment, options: ExpandOptions): string {
  return upperCaseFirstWord(expandOrKeep(trimSpace(original), env, options))
}

function expandOrKeep(text: string, env: Environment, options: ExpandOptions): string {
  try {
    return expandWord(text, env, { ...options, maxLength: MAX_NAME_LENGTH }).text
  } catch {
    return text
  }
}

function upperCaseFirstWord(text: string): string {
  const end = text.indexOf(' ')
  return end === -1 ? upperCase(text) : upperCase(text.slice(0, end)) + text.slice(end)
}

/** The first line of a heredoc, with dots when there is more. */
export function summarizeHeredoc(content: string): string {
  const [first = '', ...rest] = trimSpace(content).replaceAll('\r\n', '\n').split('\n')
  return rest.length > 0 ? `${first}...` : first
}

/** Metadata of a vertex that stands for an instruction. */
export function metadataFor(
  name: string,
  location: SourceRange | undefined,
  more: Omit<VertexMetadata, 'name' | 'location'> = {},
): VertexMetadata {
  return { name, ...(location === undefined ? {} : { location: toErrorLocation(location) }), ...more }
}

/** Metadata of work that no instruction asks for. */
export function internalMetadata(name: string): VertexMetadata {
  return { name: `[internal] ${name}` }
}
