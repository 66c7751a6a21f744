/** The image config that a stage makes while its instructions are lowered. */
import type { HealthcheckOptions } from '../read/ast.ts'
import type { ContainerConfig, Healthcheck, HistoryEntry, ImageConfig, Platform } from '../../../oci/types.ts'
import type { BaseImage } from '../../../image/lowered.ts'
import { formatEpoch } from './go-format.ts'

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const HISTORY_COMMENT = 'buildkit.dockerfile.v0'

/** The members of `config` that a Dockerfile frontend knows; others of a base are dropped, as BuildKit does. */
export interface DraftConfig {
  user: string
  exposedPorts: Set<string>
  /** By name, in the order of the first setting; a base's entry without `=` has an undefined value. */
  env: Map<string, string | undefined>
  entrypoint: readonly string[]
  cmd: readonly string[]
  volumes: Set<string>
  workingDir: string
  labels: Map<string, string>
  stopSignal: string
  argsEscaped: boolean
  healthcheck: Healthcheck | undefined
  onBuild: string[]
  shell: readonly string[]
}

/** A mutable image config; stages that build on it take a copy. */
export interface DraftImage {
  /** Undefined when nothing says it: a named context that is no image. */
  platform: Platform | undefined
  author: string
  readonly config: DraftConfig
  readonly history: HistoryEntry[]
  readonly base: BaseImage | undefined
}

function emptyConfig(): DraftConfig {
  return {
    user: '',
    exposedPorts: new Set(),
    env: new Map(),
    entrypoint: [],
    cmd: [],
    volumes: new Set(),
    workingDir: '',
    labels: new Map(),
    stopSignal: '',
    argsEscaped: false,
    healthcheck: undefined,
    onBuild: [],
    shell: [],
  }
}

/** A config that says nothing at all. */
export function blankImage(): DraftImage {
  return { platform: undefined, author: '', config: emptyConfig(), history: [], base: undefined }
}

/** What `FROM scratch` begins with. */
export function scratchImage(platform: Platform): DraftImage {
  return {
    platform,
    author: '',
    // Windows has a search path of its own.
    config: {
      ...emptyConfig(),
      workingDir: '/',
      env: new Map(platform.os === 'windows' ? [] : [['PATH', DEFAULT_PATH]]),
    },
    history: [],
    base: undefined,
  }
}

/** What a base image's config begins with. */
export function draftOf(image: ImageConfig, base?: BaseImage): DraftImage {
  const config = image.config ?? {}
  return {
    platform: platformOf(image),
    author: image.author ?? '',
    config: {
      user: config.User ?? '',
      exposedPorts: new Set(Object.keys(config.ExposedPorts ?? {})),
      env: parseEnv(config.Env ?? []),
      entrypoint: config.Entrypoint ?? [],
      cmd: config.Cmd ?? [],
      volumes: new Set(Object.keys(config.Volumes ?? {})),
      workingDir: config.WorkingDir ?? '',
      labels: new Map(Object.entries(config.Labels ?? {})),
      stopSignal: config.StopSignal ?? '',
      argsEscaped: config.ArgsEscaped ?? false,
      healthcheck: config.Healthcheck ?? undefined,
      onBuild: [...(config.OnBuild ?? [])],
      shell: config.Shell ?? [],
    },
    history: [...(image.history ?? [])],
    base,
  }
}

function platformOf(image: ImageConfig): Platform {
  return {
    os: image.os,
    architecture: image.architecture,
    ...(image.variant ? { variant: image.variant } : {}),
    ...(image['os.version'] ? { 'os.version': image['os.version'] } : {}),
    ...(image['os.features']?.length ? { 'os.features': image['os.features'] } : {}),
  }
}

function parseEnv(lines: readonly string[]): Map<string, string | undefined> {
  const env = new Map<string, string | undefined>()
  for (const line of lines) {
    const at = line.indexOf('=')
    env.set(at === -1 ? line : line.slice(0, at), at === -1 ? undefined : line.slice(at + 1))
  }
  return env
}

/** A copy that shares nothing that changes. Triggers are not inherited. */
export function inheritImage(image: DraftImage): DraftImage {
  const { config } = image
  return {
    platform: image.platform,
    author: image.author,
    config: {
      ...config,
      exposedPorts: new Set(config.exposedPorts),
      env: new Map(config.env),
      volumes: new Set(config.volumes),
      labels: new Map(config.labels),
      onBuild: [],
    },
    history: [...image.history],
    base: image.base,
  }
}

/** Adds what an instruction leaves in the history; `created` only for a build with a fixed time. */
export function addHistory(
  image: DraftImage,
  createdBy: string,
  hasLayer: boolean,
  epochSeconds: number | undefined,
): void {
  image.history.push({
    ...(epochSeconds === undefined ? {} : { created: formatEpoch(epochSeconds) }),
    created_by: createdBy,
    comment: HISTORY_COMMENT,
    ...(hasLayer ? {} : { empty_layer: true }),
  })
}

/** The `config` member as it is written: what is empty is absent. */
export function containerConfigOf(config: DraftConfig, os?: string): ContainerConfig {
  const env = [...config.env].map(([name, value]) => (value === undefined ? name : `${name}=${value}`))
  return {
    ...(config.user === '' ? {} : { User: config.user }),
    ...(config.exposedPorts.size === 0 ? {} : { ExposedPorts: emptyObjects(config.exposedPorts) }),
    ...(env.length === 0 ? {} : { Env: env }),
    ...(config.entrypoint.length === 0 ? {} : { Entrypoint: config.entrypoint }),
    ...(config.cmd.length === 0 ? {} : { Cmd: config.cmd }),
    ...(config.volumes.size === 0 ? {} : { Volumes: emptyObjects(config.volumes) }),
    ...(config.workingDir === ''
      ? {}
      : { WorkingDir: os === 'windows' ? config.workingDir.replaceAll('/', '\\') : config.workingDir }),
    ...(config.labels.size === 0 ? {} : { Labels: Object.fromEntries(config.labels) }),
    ...(config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
    ...(config.argsEscaped ? { ArgsEscaped: true } : {}),
    ...(config.healthcheck === undefined ? {} : { Healthcheck: config.healthcheck }),
    ...(config.onBuild.length === 0 ? {} : { OnBuild: config.onBuild }),
    ...(config.shell.length === 0 ? {} : { Shell: config.shell }),
  }
}

function emptyObjects(names: Iterable<string>): Record<string, Record<string, never>> {
  return Object.fromEntries([...names].map((name) => [name, {}]))
}

/** A health check as it is written: what is zero is absent, durations are nanoseconds. */
export function healthcheckOf(check: HealthcheckOptions): Healthcheck {
  return {
    ...(check.test.length === 0 ? {} : { Test: check.test }),
    ...(check.intervalNs === 0 ? {} : { Interval: check.intervalNs }),
    ...(check.timeoutNs === 0 ? {} : { Timeout: check.timeoutNs }),
    ...(check.startPeriodNs === 0 ? {} : { StartPeriod: check.startPeriodNs }),
    ...(check.startIntervalNs === 0 ? {} : { StartInterval: check.startIntervalNs }),
    ...(check.retries === 0 ? {} : { Retries: check.retries }),
  }
}
