import type { CheckedOptions } from './options.ts'
import { MAIN_CONTEXT, type BuildContexts } from './contexts.ts'
import type { BuildSources } from './sources.ts'
import { FRONTENDS } from '../frontends/list.ts'
import type { FrontendInput, FrontendOptions, LowerEnvironment, Recipe } from '../frontends/types.ts'
import type { BaseImage, LoweredImage } from '../image/lowered.ts'
import type { Edge } from '../graph/types.ts'
import { createVertex } from '../graph/vertex.ts'
import { internalStep } from './internal-step.ts'
import { formatPlatform, formatPlatformFully, hostPlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/types.ts'
import { findInLayout } from '../ops/image/layout.ts'
import type { ResolvedImage } from '../ops/environment.ts'
import type { CheckedImageResolver, PullPolicy } from '../ops/image/resolve.ts'
import type { SourceSpec } from '../graph/op-specs.ts'
import type { BuildWarning, ProgressSink } from '../base/progress.ts'
import type { BuildOptions } from './public-types.ts'

export interface LowerHooks {
  /** Called with an input that was read. */
  readonly onRead?: (recipe: Recipe) => void
  /** Without it, a SOURCE_DATE_EPOCH that names a source is not looked up. */
  readonly sourceTime?: SourceTime
  /** Called with what will most likely be built while registries are asked whether they still have the same bases. */
  readonly whileAsking?: (images: readonly LoweredImage[]) => void
}

/**
 * Lowers with the bases at hand while their registries are asked, and anew where one has another image now. So the
 * question costs a build no more than what it takes longer than the rest.
 */
async function lowerConfirmed(
  images: CheckedImageResolver,
  lower: () => Promise<readonly LoweredImage[]>,
  whileAsking?: (images: readonly LoweredImage[]) => void,
): Promise<readonly LoweredImage[]> {
  const first = await lower().then(
    (lowered) => ({ lowered }),
    (error: unknown) => ({ error }),
  )
  if ('lowered' in first) whileAsking?.(first.lowered)
  const { moved, doubts } = await images.confirm()
  // A base that is new may bring further ones (ONBUILD); none is asked for twice, so this ends.
  if (moved) return await lowerConfirmed(images, lower)
  if ('error' in first) throw first.error
  const warnings = doubts.map(([name, reason]) => ({
    rule: '',
    message: `${name} could not be asked for at its registry: ${reason.message}; the copy at hand is used`,
    detail: 'A tag may lead elsewhere than when a build fetched it. --pull=missing does not ask.',
  }))
  return first.lowered.map((image) => ({ ...image, warnings: [...image.warnings, ...warnings] }))
}

/** What a build is lowered from. */
export interface LowerParts {
  readonly options: BuildOptions
  readonly checked: CheckedOptions
  /** Undefined for a state, which names its sources itself. */
  readonly sources: BuildSources | undefined
  readonly images: CheckedImageResolver
  readonly contexts: BuildContexts
  readonly sink: ProgressSink
  readonly hooks?: LowerHooks
}

/** The input of a build to images in the making, one for each platform. */
export async function lowerBuild(parts: LowerParts): Promise<readonly LoweredImage[]> {
  const { images, sink, hooks = {} } = parts
  const recipe = await readInput(parts)
  hooks.onRead?.(recipe)
  const lowering = () => [frontendOptionsOf(parts), environmentOf(parts)] as const
  let asked = lowering()
  const lower = (): Promise<readonly LoweredImage[]> => recipe.lower(...(asked = lowering()))
  const lowered = await lowerConfirmed(images, lower, hooks.whileAsking).catch(async (error: unknown) => {
    // What is only a warning may be why it failed: it is told before the error, as BuildKit does. What the failed attempt
    // has asked is neither asked nor shown again.
    for (const warning of (await recipe.warnings?.(...asked)) ?? []) sink({ type: 'warning', warning })
    throw error
  })
  const told = withDuplicates(lowered)
  for (const warning of warningsOf(told)) sink({ type: 'warning', warning })
  return told
}

/** As BuildKit, which builds what was asked for twice, and puts it into the index twice. */
function withDuplicates(images: readonly LoweredImage[]): readonly LoweredImage[] {
  const seen = new Set<string>()
  return images.map((image) => {
    const platform = formatPlatformFully(image.platform)
    if (!seen.has(platform)) {
      seen.add(platform)
      return image
    }
    const warning = { rule: '', message: `Duplicate platform result requested ${JSON.stringify(platform)}` }
    return { ...image, warnings: [...image.warnings, warning] }
  })
}

/** What is said of the images of one build: of each platform, but once. */
export function warningsOf(images: readonly LoweredImage[]): readonly BuildWarning[] {
  if (images.length === 1) return images[0]!.warnings
  const all = images.flatMap(({ warnings }) => warnings)
  return [...new Map(all.map((warning) => [JSON.stringify(warning), warning])).values()]
}

async function readInput({ options, sources, sink }: LowerParts): Promise<Recipe> {
  const file = sources?.dockerfile
  const input: FrontendInput = { file, state: options.state }
  const frontend = FRONTENDS.find((candidate) => candidate.accepts(input))
  if (frontend === undefined) throw new Error('a build has a text or a state')
  if (file === undefined) return frontend.read(input)
  const recipe = await internalStep(sink, `[internal] load build definition from ${file.name}`, async (report) => {
    report('transfer', `transferring dockerfile: ${Buffer.byteLength(file.text)}B`, { isDone: true })
    return frontend.read(input)
  })
  await internalStep(sink, '[internal] load .dockerignore', async (report) =>
    report('transfer', `transferring context: ${Buffer.byteLength((sources?.ignorePatterns ?? []).join('\n'))}B`, {
      isDone: true,
    }),
  )
  return recipe
}

/** `true` is `always`, as Docker's flag alone. */
export function pullPolicy(pull: BuildOptions['pull']): PullPolicy {
  return pull === true ? 'always' : pull === false ? 'default' : (pull ?? 'default')
}

/** What a frontend is told: the build's options in its words. */
export function frontendOptionsOf({ options, checked, sources }: LowerParts): FrontendOptions {
  return {
    target: options.target,
    ...(options.amend === undefined ? {} : { amend: options.amend }),
    buildArgs: checked.buildArgs,
    labels: checked.labels,
    buildPlatform: hostPlatform(),
    platforms: checked.platforms,
    isPlatformRequested: (options.platform ?? '') !== '',
    namedContexts: sources?.namedContexts ?? new Map(),
    noCache: options.noCache ?? false,
    noCacheFilter: options.noCacheFilter ?? [],
    pull: pullPolicy(options.pull) === 'always',
    networkMode: options.network ?? 'default',
    extraHosts: checked.extraHosts,
    ...(checked.ulimits === undefined ? {} : { ulimits: checked.ulimits }),
    ...(checked.resources === undefined ? {} : { resources: checked.resources }),
    ...(options.shmSizeBytes === undefined ? {} : { shmSizeBytes: options.shmSizeBytes }),
    contextName: MAIN_CONTEXT,
    ...(sources?.contextEdge === undefined ? {} : { contextEdge: sources.contextEdge }),
    ...(checked.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: checked.sourceDateEpoch }),
  }
}

/** What a frontend may ask for: the configs of bases, each once. */
export function environmentOf({ checked, sources, images, contexts, sink, hooks }: LowerParts): LowerEnvironment {
  const metadata = oncePerKey((reference: string, platform: Platform) => `${reference}|${formatPlatform(platform)}`)
  const metadataPlace = (platform: Platform): string =>
    checked.platforms.length > 1 ? `${formatPlatform(platform)} internal` : 'internal'
  const sourceTime = hooks?.sourceTime
  return {
    ...(sources?.ignorePatterns === undefined ? {} : { ignorePatterns: sources.ignorePatterns }),
    ignorePatternsOf: async (key) => sources?.namedDirectories.get(key)?.ignorePatterns,
    openDirectory: contexts.add,
    ...(sourceTime === undefined ? {} : { resolveSourceEpoch: (source) => sourceTime(sourceTimeEdge(source)) }),
    resolveLayoutConfig: async (reference, platform) => {
      const resolved = await images.resolveLayout(findInLayout(reference), platform)
      return { digest: resolved.digest, config: resolved.config, base: baseOf(resolved) }
    },
    resolveImageConfig: metadata((reference, platform) =>
      internalStep(sink, `[${metadataPlace(platform)}] load metadata for ${reference}`, async () => {
        const resolved = await images.resolve(reference, platform)
        return {
          reference: resolved.reference,
          digest: resolved.digest,
          config: resolved.config,
          base: baseOf(resolved),
        }
      }),
    ),
  }
}

function baseOf({ reference, isRemote, manifest, config }: ResolvedImage): BaseImage {
  const diffIds = config.rootfs.diff_ids
  return {
    ...(isRemote ? { reference } : {}),
    layers: (manifest.layers ?? []).map((descriptor, index) => ({ descriptor, diffId: diffIds[index]! })),
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
