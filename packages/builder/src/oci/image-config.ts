import { BuilderError } from '../base/errors.ts'
import { isList, isStringMap } from './descriptor.ts'
import { isDigest, type DiffID } from './digest.ts'
import { compareUtf8, goJson, nonEmpty, normalizeTime, sortedMap } from './go-json.ts'
import { orderHistoryEntry, readHistoryEntry } from './history.ts'
import { isTooDeep } from './nesting.ts'
import type { ContainerConfig, Healthcheck, HistoryEntry, ImageConfig } from './types.ts'

/** Bound for a config from outside: registries' tools stop at 4 to 8 MiB. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024

/**
 * Parses and checks an image config (image-spec, config.md). Members that we do not know are kept as they are.
 * @throws OCI_CONFIG_INVALID
 */
export function parseImageConfig(raw: Uint8Array): ImageConfig {
  const value = parseJson(raw)
  const { architecture, rootfs, history, created, config } = value
  if (typeof architecture !== 'string' || architecture === '') throw invalid('architecture is missing')
  // As containerd normalises a platform: without an OS it is the host's.
  const os = value['os'] || 'linux'
  if (typeof os !== 'string') throw invalid('os is no text')
  const createdAt = typeof created === 'string' ? normalizeTime(created) : undefined
  const { created: _created, history: _history, config: _config, ...rest } = value
  for (const name of TEXTS) if (typeof rest[name] !== 'string') delete rest[name]
  if (!isList(rest['os.features'])) delete rest['os.features']
  return {
    ...rest,
    architecture,
    os,
    ...(createdAt === undefined ? {} : { created: createdAt }),
    ...(config === undefined || config === null ? {} : { config: checkContainerConfig(config) }),
    rootfs: { type: 'layers', diff_ids: checkDiffIds(rootfs) },
    ...(history === undefined || history === null ? {} : { history: checkHistory(history) }),
  }
}

/** What is said of them otherwise counts as nothing, as wrong times do. */
const TEXTS = ['author', 'variant', 'os.version'] as const

function parseJson(raw: Uint8Array): Record<string, unknown> {
  if (raw.length > MAX_CONFIG_BYTES) throw invalid(`${raw.length} bytes are more than ${MAX_CONFIG_BYTES}`)
  const text = Buffer.from(raw).toString('utf8')
  if (isTooDeep(text)) throw invalid('its JSON is nested too deep')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid('not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('not a JSON object')
  return value as Record<string, unknown>
}

function checkDiffIds(rootfs: unknown): readonly DiffID[] {
  if (typeof rootfs !== 'object' || rootfs === null) throw invalid('rootfs is missing')
  const { type, diff_ids: diffIds } = rootfs as Record<string, unknown>
  if (type !== 'layers') throw invalid(`rootfs.type is ${JSON.stringify(type)}, not "layers"`)
  if (diffIds === undefined || diffIds === null) return []
  if (!Array.isArray(diffIds)) throw invalid('rootfs.diff_ids is not a list')
  return diffIds.map((diffId, index) => {
    if (typeof diffId === 'string' && isDigest(diffId)) return diffId as string as DiffID
    throw invalid(`rootfs.diff_ids[${index}] is no sha256 digest`)
  })
}

function checkHistory(history: unknown): readonly HistoryEntry[] {
  if (!Array.isArray(history)) throw invalid('history is not a list')
  return history.map((entry, index) => {
    const checked = readHistoryEntry(entry)
    if (checked === undefined) throw invalid(`history[${index}] is not an object`)
    return checked
  })
}

const LIST_MEMBERS = ['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell'] as const
const MAP_MEMBERS = ['ExposedPorts', 'Volumes', 'Labels'] as const
const TEXT_MEMBERS = ['User', 'WorkingDir', 'StopSignal'] as const

/** What later code takes for granted is checked once, here; `null` members count as absent. */
function checkContainerConfig(value: unknown): ContainerConfig {
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('config is not an object')
  const raw = Object.fromEntries(
    Object.entries(value as Record<string, unknown>).filter(([, member]) => member !== null),
  )
  for (const name of LIST_MEMBERS)
    if (raw[name] !== undefined && !isList(raw[name])) throw invalid(`config.${name} is not a list of strings`)
  for (const name of TEXT_MEMBERS)
    if (raw[name] !== undefined && typeof raw[name] !== 'string') throw invalid(`config.${name} is not a string`)
  for (const name of MAP_MEMBERS) {
    if (raw[name] !== undefined && (typeof raw[name] !== 'object' || Array.isArray(raw[name])))
      throw invalid(`config.${name} is not an object`)
  }
  if (raw['Labels'] !== undefined && !isStringMap(raw['Labels'])) throw invalid('config.Labels holds more than strings')
  checkHealthcheck(raw['Healthcheck'])
  return raw
}

function checkHealthcheck(value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('config.Healthcheck is not an object')
  const { Test: test } = value as Record<string, unknown>
  if (test !== undefined && test !== null && !isList(test))
    throw invalid('config.Healthcheck.Test is not a list of strings')
}

/** An image config before it is bytes: what BuildKit's Go types hold, and nothing else. */
export interface SerializedConfig extends Pick<
  ImageConfig,
  'architecture' | 'os' | 'variant' | 'os.version' | 'os.features' | 'author' | 'config' | 'rootfs' | 'history'
> {
  /** Absent in an image without layers and history. */
  readonly created?: string | undefined
  /** Inline cache metadata. */
  readonly 'moby.buildkit.cache.v0'?: unknown
}

/**
 * The bytes of an image config as BuildKit writes them: compact, top members sorted, Go's escapes; empty members absent;
 * diffIDs and history are lists also where they are empty (image-spec's schema; older builders wrote null). Members that BuildKit's types lack (`container`, `docker_version`) are dropped.
 */
export function serializeImageConfig(config: SerializedConfig): Uint8Array {
  const members: Record<string, unknown> = {
    architecture: config.architecture,
    author: empty(config.author),
    config: orderContainerConfig(config.config ?? {}),
    created: config.created,
    history: (config.history ?? []).map(orderHistoryEntry),
    'moby.buildkit.cache.v0': config['moby.buildkit.cache.v0'],
    os: config.os,
    'os.features': nonEmpty(config['os.features']),
    'os.version': empty(config['os.version']),
    rootfs: { type: 'layers', diff_ids: config.rootfs.diff_ids },
    variant: empty(config.variant),
  }
  return Buffer.from(goJson(Object.fromEntries(Object.entries(members).sort(([a], [b]) => compareUtf8(a, b)))))
}

/** Members in the order of Docker's Go type; empty ones absent. */
function orderContainerConfig(config: ContainerConfig): ContainerConfig {
  return {
    User: empty(config.User),
    ExposedPorts: sortedMap(config.ExposedPorts),
    Env: nonEmpty(config.Env),
    Entrypoint: nonEmpty(config.Entrypoint),
    Cmd: nonEmpty(config.Cmd),
    Volumes: sortedMap(config.Volumes),
    WorkingDir: empty(config.WorkingDir),
    Labels: sortedMap(config.Labels),
    StopSignal: empty(config.StopSignal),
    ArgsEscaped: config.ArgsEscaped === true ? true : undefined,
    Healthcheck: config.Healthcheck === undefined ? undefined : orderHealthcheck(config.Healthcheck),
    OnBuild: nonEmpty(config.OnBuild),
    Shell: nonEmpty(config.Shell),
  }
}

function orderHealthcheck(check: Healthcheck): Healthcheck {
  return {
    Test: nonEmpty(check.Test),
    Interval: zero(check.Interval),
    Timeout: zero(check.Timeout),
    StartPeriod: zero(check.StartPeriod),
    StartInterval: zero(check.StartInterval),
    Retries: zero(check.Retries),
  }
}

function empty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function zero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

function invalid(what: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_CONFIG_INVALID', `invalid image config: ${what}`, { cause })
}
