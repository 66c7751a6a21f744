import { BuilderError } from '../base/errors.ts'
import type { CheckedOptions } from './options.ts'
import { MAIN_CONTEXT, type BuildContexts } from './contexts.ts'
import type { BuildSources } from './sources.ts'
import { lintDockerfile } from '../frontends/dockerfile/answers/lint.ts'
import { lowerDockerfile, toWarning } from '../frontends/dockerfile/lower/lower.ts'
import type { LoweredImage, LowerEnvironment, LowerOptions } from '../image/lowered.ts'
import { parseDockerfile } from '../frontends/dockerfile/read/parse.ts'
import type { StateDocument } from '../frontends/state/document.ts'
import type { Edge } from '../graph/types.ts'
import { createVertex } from '../graph/vertex.ts'
import { internalStep } from './internal-step.ts'
import { formatPlatform, hostPlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/types.ts'
import { findInLayout } from '../ops/image/layout.ts'
import type { CheckedImageResolver, PullPolicy } from '../ops/image/resolve.ts'
import type { SourceSpec } from '../graph/op-specs.ts'
import type { ImageResolver } from '../ops/environment.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { BuildOptions } from './public-types.ts'

export interface LowerHooks {
  readonly sourceTime?: SourceTime
  /** Called with what will most likely be built while registries are asked whether they still have the same bases. */
  readonly whileAsking?: (image: LoweredImage) => void
}

/**
 * Lowers with the bases at hand while their registries are asked, and anew where one has another image now. So the
 * question costs a build no more than what it takes longer than the rest.
 */
async function lowerConfirmed(
  images: CheckedImageResolver,
  lower: () => Promise<LoweredImage>,
  whileAsking?: (image: LoweredImage) => void,
): Promise<LoweredImage> {
  const first = await lower().then(
    (image) => ({ image }),
    (error: unknown) => ({ error }),
  )
  if ('image' in first) whileAsking?.(first.image)
  const { moved, doubts } = await images.confirm()
  // A base that is new may bring further ones (ONBUILD); none is asked for twice, so this ends.
  if (moved) return await lowerConfirmed(images, lower)
  if ('error' in first) throw first.error
  const warnings = doubts.map(([name, reason]) => ({
    rule: '',
    message: `${name} could not be asked for at its registry: ${reason.message}; the copy at hand is used`,
    detail: 'A tag may lead elsewhere than when a build fetched it. --pull=missing does not ask.',
  }))
  return { ...first.image, warnings: [...first.image.warnings, ...warnings] }
}

/** A Dockerfile to an image in the making. */
export async function lowerDockerfileBuild(
  options: BuildOptions,
  checked: CheckedOptions,
  sources: BuildSources,
  images: CheckedImageResolver,
  sink: ProgressSink,
  hooks: LowerHooks = {},
): Promise<LoweredImage> {
  const { dockerfile } = sources
  const parsed = await internalStep(
    sink,
    `[internal] load build definition from ${dockerfile.name}`,
    async (report) => {
      report('transfer', `transferring dockerfile: ${Buffer.byteLength(dockerfile.text)}B`, { isDone: true })
      return parseDockerfile(dockerfile.text, { name: dockerfile.name })
    },
  )
  await internalStep(sink, '[internal] load .dockerignore', async (report) =>
    report('transfer', `transferring context: ${Buffer.byteLength((sources.ignorePatterns ?? []).join('\n'))}B`, {
      isDone: true,
    }),
  )
  const lowering = () =>
    [lowerOptionsOf(options, checked, sources), lowerEnvironmentOf(sources, images, sink, hooks.sourceTime)] as const
  let asked = lowering()
  const lower = (): Promise<LoweredImage> => lowerDockerfile(parsed, ...(asked = lowering()))
  const image = await lowerConfirmed(images, lower, hooks.whileAsking).catch(async (error: unknown) => {
    // What is only a warning may be why it failed: it is told before the error, as BuildKit does. What the failed attempt
    // has asked is neither asked nor shown again.
    const { findings } = await lintDockerfile(dockerfile.text, ...asked, { name: dockerfile.name })
    for (const finding of findings) sink({ type: 'warning', warning: toWarning(finding) })
    throw error
  })
  for (const warning of image.warnings) sink({ type: 'warning', warning })
  return image
}

/** `true` is `always`, as Docker's flag alone. */
export function pullPolicy(pull: BuildOptions['pull']): PullPolicy {
  return pull === true ? 'always' : pull === false ? 'default' : (pull ?? 'default')
}

/** What lowering is told: the build's options in the frontend's words. */
export function lowerOptionsOf(options: BuildOptions, checked: CheckedOptions, sources: BuildSources): LowerOptions {
  return {
    target: options.target,
    buildArgs: checked.buildArgs,
    labels: checked.labels,
    buildPlatform: hostPlatform(),
    targetPlatform: checked.platform,
    isPlatformRequested: (options.platform ?? '') !== '',
    namedContexts: sources.namedContexts,
    noCache: options.noCache ?? false,
    noCacheFilter: options.noCacheFilter ?? [],
    pull: pullPolicy(options.pull) === 'always',
    networkMode: options.network ?? 'default',
    extraHosts: checked.extraHosts,
    ...(checked.ulimits === undefined ? {} : { ulimits: checked.ulimits }),
    ...(options.shmSizeBytes === undefined ? {} : { shmSizeBytes: options.shmSizeBytes }),
    contextName: MAIN_CONTEXT,
    ...(sources.contextEdge === undefined ? {} : { contextEdge: sources.contextEdge }),
    ...(checked.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: checked.sourceDateEpoch }),
  }
}

/** What lowering may ask for: the configs of bases, each once. */
export function lowerEnvironmentOf(
  sources: BuildSources,
  images: ImageResolver,
  sink: ProgressSink,
  sourceTime?: SourceTime,
): LowerEnvironment {
  const metadata = oncePerKey((reference: string, platform: Platform) => `${reference}|${formatPlatform(platform)}`)
  return {
    ...(sources.ignorePatterns === undefined ? {} : { ignorePatterns: sources.ignorePatterns }),
    ignorePatternsOf: async (key) => sources.namedDirectories.get(key)?.ignorePatterns,
    ...(sourceTime === undefined ? {} : { resolveSourceEpoch: (source) => sourceTime(sourceTimeEdge(source)) }),
    resolveLayoutConfig: async (reference, platform) => {
      const resolved = await images.resolveLayout(findInLayout(reference), platform)
      return { digest: resolved.digest, config: resolved.config }
    },
    resolveImageConfig: metadata((reference, platform) =>
      internalStep(sink, `[internal] load metadata for ${reference}`, async () => {
        const resolved = await images.resolve(reference, platform)
        return { reference: resolved.reference, digest: resolved.digest, config: resolved.config }
      }),
    ),
  }
}

/** When the content of a source was made, seconds; undefined when it does not say. */
export type SourceTime = (edge: Edge) => Promise<number | undefined>

/** A source whose files have the time of its commit, or of its Last-Modified. */
function sourceTimeEdge(source: SourceSpec): Edge {
  const attrs = source.identifier.startsWith('git://') ? { ...source.attrs, 'git.mtime': 'commit' } : source.attrs
  const vertex = createVertex({ ...source, attrs }, [], {
    metadata: { name: `[internal] time of ${source.identifier}` },
  })
  return { vertex, output: 0 }
}

/** Wraps asynchronous work so that it runs once for equal arguments: stages of one base ask for it, and show it, once. */
function oncePerKey<Args extends readonly unknown[]>(
  keyOf: (...args: Args) => string,
): <T>(work: (...args: Args) => Promise<T>) => (...args: Args) => Promise<T> {
  return <T>(work: (...args: Args) => Promise<T>) => {
    const pending = new Map<string, Promise<T>>()
    return (...args) => {
      const key = keyOf(...args)
      let promise = pending.get(key)
      if (promise === undefined) pending.set(key, (promise = work(...args)))
      return promise
    }
  }
}

/** A fluent state to an image in the making: as the Dockerfile that says the same. */
export async function lowerStateBuild(
  options: BuildOptions,
  checked: CheckedOptions,
  document: StateDocument,
  images: CheckedImageResolver,
  contexts: BuildContexts,
  sink: ProgressSink,
  hooks: LowerHooks = {},
): Promise<LoweredImage> {
  refuseWithState(options)
  const sources = stateSources(document, contexts)
  // Checks are about how a Dockerfile is written.
  const told = { ...lowerOptionsOf(options, checked, sources), target: undefined, checks: 'skip=all' }
  const lower = (): Promise<LoweredImage> =>
    lowerDockerfile(document.parsed, told, lowerEnvironmentOf(sources, images, sink, hooks.sourceTime))
  const image = await lowerConfirmed(images, lower, hooks.whileAsking)
  for (const warning of image.warnings) sink({ type: 'warning', warning })
  return image
}

/** What speaks of a Dockerfile's text, stages or context means nothing beside a state. */
function refuseWithState(options: BuildOptions): void {
  const names = ['file', 'dockerfile', 'target', 'buildContexts', 'noCacheFilter'] as const
  const given = names.find((name) => options[name] !== undefined)
  if (given === undefined) return
  throw new BuilderError('OCI_OPTION_INVALID', `${given} is for Dockerfiles, and this build has a state`, {
    hint: 'a state is its own target; it reads what image(…) and local(…) name',
  })
}

/** Its directories as named contexts; it has no main one. */
function stateSources({ locals, parsed }: StateDocument, contexts: BuildContexts): BuildSources {
  const directories = [...locals].map(([name, { directory, ignore }]) => ({
    name,
    key: contexts.add(directory, ignore),
    source: { directory, ignorePatterns: ignore },
  }))
  return {
    contextDirectory: undefined,
    dockerfile: parsed.source,
    ignorePatterns: undefined,
    namedContexts: new Map(directories.map(({ name, key }) => [name, `local:${key}`])),
    namedDirectories: new Map(directories.map(({ key, source }) => [key, source])),
  }
}
