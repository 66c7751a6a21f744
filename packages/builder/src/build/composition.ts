import { loadCdiRegistry } from '@ts-oci/runtime'
import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { SourceFile } from '../base/source.ts'
import { combineCaches } from '../cache/combine.ts'
import { createExplainer } from '../cache/explain.ts'
import { createCaches } from '../cache/list.ts'
import { noRoomError } from '../base/disk-errors.ts'
import { createJobRunner, type JobRunner } from '../disk/job-runner.ts'
import type { Recipe } from '../frontends/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import type { LayerForms } from '../layers/types.ts'
import { hostPlatform } from '../oci/platform.ts'
import { digestLayerPaths, sharedDigestsOfLayers } from '../ops/digest-layers.ts'
import type { OpsEnvironment } from '../ops/environment.ts'
import { createImageResolver, type CheckedImageResolver, type PullPolicy } from '../ops/image/resolve.ts'
import { createDrivers } from '../ops/list.ts'
import { createSolver, type Solver } from '../solver/solver.ts'
import type { CacheImports } from './cache-exchange.ts'
import { createContexts, type BuildContexts } from './contexts.ts'
import type { CheckedOptions } from './options.ts'
import { lowerBuild, pullPolicy, type LowerParts } from './plan.ts'
import { projectScopes } from './project-scopes.ts'
import type { BuildOptions } from './public-types.ts'
import { createSecrets } from './secrets.ts'
import { createSshAgents } from './ssh-agents.ts'
import type { Session } from './session-types.ts'
import { readLocals, solveView, sourceTime } from './solve.ts'
import { findSources, remoteOnDemand, type BuildSources } from './sources.ts'
import { checkImageWith, createLayerFetcher, fetchImageWith } from './transfers.ts'

export interface CompositionOptions {
  readonly session: Session
  readonly options: BuildOptions
  readonly checked: CheckedOptions
  readonly sink: ProgressSink
  /** `answer`: something is asked about the build, and no step of it will run. */
  readonly purpose: 'build' | 'answer'
  /** Caches from elsewhere that are read. */
  readonly caches?: CacheImports | undefined
  /** Instead of what `options.pull` says. */
  readonly pull?: PullPolicy
}

/** The parts of one build, put together: whatever a call wants to know of it or do with it begins here. */
export interface Composition extends AsyncDisposable {
  readonly session: Session
  readonly forms: LayerForms
  readonly jobs: JobRunner
  readonly solver: Solver
  readonly caches: CacheImports | undefined
  /** Set before the solver starts: large layers are compressed while they are packed. */
  compressEarly(isWanted: boolean): void
  /** Where text and contexts come from, found once; undefined for a state. A context elsewhere is solved for it. */
  sources(): Promise<BuildSources | undefined>
  /** The text in which errors have their places, once it was found. */
  readonly text: Pick<SourceFile, 'name' | 'text'> | undefined
  /** Finds the sources, and says what lowering is to be given. */
  lowering(): Promise<LowerParts>
  /** One image for each platform. */
  lower(): Promise<readonly LoweredImage[]>
}

/** What is known of a build only while it goes on. */
interface Progress {
  sources?: Promise<BuildSources | undefined>
  found?: BuildSources | undefined
  source?: SourceFile | undefined
  wantsGzip: boolean
  /** A Dockerfile may name what the time is taken from: it is known when the file is lowered. */
  epochSec: number | undefined
}

/** @throws OCI_SECRET_NOT_FOUND, OCI_OPTION_INVALID for secrets and agents that cannot be had */
export async function compose(given: CompositionOptions): Promise<Composition> {
  const { session, options, checked, sink } = given
  const { store, signal } = session
  const progress: Progress = { wantsGzip: false, epochSec: checked.sourceDateEpoch }
  const jobs = createJobRunner({ executor: session.executor, signal, grantedContexts: session.grantedContexts })
  const forms = createLayerForms({
    store,
    jobs,
    executor: session.executor,
    fetcher: createLayerFetcher(session, sink, {
      isAllowed: pullPolicy(options.pull) !== 'never',
      caches: given.caches,
    }),
    signal,
    isolation: session.isolation,
    compressesEarly: () => progress.wantsGzip,
  })
  const images = createImages(given, jobs, progress)
  const contexts = createContexts(store, session.contexts, signal)
  const sshAgent = await createSshAgents(options.ssh ?? [])
  const solver = createBuildSolver(given, { sshAgent, forms, jobs, images, contexts, progress })
  const remote = remoteOnDemand(async () => {
    const { createRemoteContexts } = await import('./remote-context.ts')
    return createRemoteContexts({ store, forms, signal, solve: (edge) => solveView(solver, forms, edge) })
  })
  const onRead = ({ source }: Recipe): void => void (progress.source = source)
  const hooks = {
    onRead,
    sourceTime: (edge: Parameters<typeof sourceTime>[2]) => sourceTime(solver, forms, edge),
    whileAsking: (lowered: readonly LoweredImage[]) => lowered.forEach(({ edge }) => readLocals(solver, edge)),
  }
  const sources = (): Promise<BuildSources | undefined> =>
    (progress.sources ??= openSources(options, remote, contexts, progress))
  const lowering = async (): Promise<LowerParts> => ({
    options,
    checked,
    images,
    contexts,
    sink,
    sources: await sources(),
    hooks: given.purpose === 'build' ? hooks : { onRead },
  })
  return {
    session,
    forms,
    jobs,
    solver,
    caches: given.caches,
    sources,
    lowering,
    get text() {
      return textOf(progress)
    },
    compressEarly: (isWanted) => void (progress.wantsGzip = isWanted),
    lower: async () => {
      const lowered = await lowerBuild(await lowering())
      progress.epochSec = lowered[0]?.sourceDateEpoch ?? progress.epochSec
      return lowered
    },
    [Symbol.asyncDispose]: async () => {
      contexts.close()
      // What is finished is kept, also when something else went wrong.
      forms.syncTrees()
      await forms.workingTrees.discard()
      await remote[Symbol.asyncDispose]()
    },
  }
}

async function openSources(
  options: BuildOptions,
  remote: Parameters<typeof findSources>[1],
  contexts: BuildContexts,
  progress: Progress,
): Promise<BuildSources | undefined> {
  if (options.state !== undefined) {
    refuseWithState(options)
    return undefined
  }
  progress.found = await findSources(options, remote)
  contexts.use(progress.found)
  return progress.found
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

function createImages(
  { session, options, purpose, pull = pullPolicy(options.pull) }: CompositionOptions,
  jobs: JobRunner,
  progress: Progress,
): CheckedImageResolver {
  const fetchImage = fetchImageWith(session)
  return createImageResolver({
    store: session.store,
    fetchImage: (reference, platform) => {
      // A step will need the layers of an image that is not at hand, and unpacking them a process that takes as long to
      // start as the registry to answer.
      if (purpose === 'build' && hasSteps(progress.found?.dockerfile.text)) jobs.prepare()
      return fetchImage(reference, platform)
    },
    checkImage: checkImageWith(session),
    pull,
  })
}

function hasSteps(dockerfile: string | undefined): boolean {
  return dockerfile !== undefined && /^[ \t]*RUN[ \t]/im.test(dockerfile)
}

function createBuildSolver(
  { session, options, checked, sink, caches }: CompositionOptions,
  parts: {
    readonly sshAgent: OpsEnvironment['sshAgent']
    readonly forms: LayerForms
    readonly jobs: JobRunner
    readonly images: CheckedImageResolver
    readonly contexts: BuildContexts
    readonly progress: Progress
  },
): Solver {
  const { store, signal } = session
  const { forms, progress } = parts
  const environment: OpsEnvironment = {
    store,
    forms,
    jobs: parts.jobs,
    executor: session.executor,
    images: parts.images,
    openLocal: parts.contexts.open,
    secret: createSecrets(options.secrets ?? []),
    sshAgent: parts.sshAgent,
    carriedMounts: caches?.mounts,
    allowed: checked.allowed,
    devices: { ...checked.devices, registry: onceLoaded(checked.cdiSpecDirectories) },
    hostPlatform: hostPlatform(),
    signal,
    get epochMs() {
      return progress.epochSec === undefined ? undefined : progress.epochSec * 1000
    },
  }
  return createSolver({
    drivers: createDrivers(environment),
    cache: combineCaches([...createCaches({ store, forms }), ...(caches === undefined ? [] : [caches.manager(forms)])]),
    oneExecution: (key, until, work) => store.locks.hold('execution', [{ name: key }], { signal: until }, work),
    inWords: (cause) => noRoomError(store.root, cause),
    forms,
    scheduler: session.scheduler(),
    executions: session.executions,
    onProgress: sink,
    signal,
    digestLayers: (layers, selectors) => digestLayerPaths(environment, layers, selectors),
    sharedDigestLayers: (layers, selectors) => sharedDigestsOfLayers(environment, layers, selectors),
    explainer: createExplainer(store, scopesOf(options, checked, progress)),
  })
}

/** What the directories offer, read when a step first asks. */
function onceLoaded(directories: readonly string[]): OpsEnvironment['devices']['registry'] {
  let registry: ReturnType<typeof loadCdiRegistry> | undefined
  return () => (registry ??= loadCdiRegistry(directories))
}

/** By what the project of the build is known again; looked for once its text is known. */
function scopesOf(options: BuildOptions, checked: CheckedOptions, progress: Progress): () => readonly string[] {
  let scopes: readonly string[] | undefined
  return () => {
    if (scopes !== undefined) return scopes
    const text = textOf(progress)?.text
    const found = projectScopes({ ...options, tags: checked.names, text })
    // A remote context is fetched before its Dockerfile is known.
    if (text !== undefined) scopes = found
    return found
  }
}

/** The text in which errors have their places. */
function textOf({ source, found }: Progress): Composition['text'] {
  return source ?? found?.dockerfile
}
