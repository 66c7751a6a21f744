import { availableParallelism } from 'node:os'
import { checkOptions, type CheckedOptions } from '../build/options.ts'
import { findSources, remoteOnDemand, type BuildSources } from '../build/sources.ts'
import { createExplainer } from '../cache/explain.ts'
import { noRoomError } from '../base/disk-errors.ts'
import { BuilderError } from '../base/errors.ts'
import { prepareOutputs } from '../exporters/index.ts'
import type { ExportResult, ExportSource, PreparedExport } from '../exporters/types.ts'
import { createJobRunner, type JobRunner } from '../disk/job-runner.ts'
import { createLayerForms } from '../layers/layer-forms.ts'
import { createLayerProvider } from '../exporters/layer-provider.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import { createDocument } from '../frontends/state/document.ts'
import { lowerDockerfileBuild, lowerStateBuild, pullPolicy, type LowerHooks } from '../build/plan.ts'
import { createContexts } from '../build/contexts.ts'
import { createSecrets, createSshSockets } from '../build/secrets.ts'
import { withCodeFrame } from '../base/locate-error.ts'
import { internalStep } from '../build/internal-step.ts'
import type { Edge } from '../graph/types.ts'
import type { View } from '../view/types.ts'
import { hostPlatform } from '../oci/platform.ts'
import { layersOf } from '../ops/context-layer.ts'
import type { OpsEnvironment } from '../ops/environment.ts'
import type { Result } from '../solver/types.ts'
import { createImageResolver } from '../ops/image/resolve.ts'
import { digestLayerPaths } from '../ops/digest-layers.ts'
import { ignoredCacheMounts } from '../ops/exec/ignored-caches.ts'
import { createDrivers } from '../ops/list.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { BuildOptions, BuildResult, OutputSpec } from '../build/public-types.ts'
import { runAll } from '../base/run-all.ts'
import { projectScopes } from '../build/project-scopes.ts'
import { collectInternalSteps, reportOf } from '../build/result.ts'
import { openSession, type Session } from '../build/session.ts'
import { createScheduler } from '../solver/scheduler.ts'
import { createSolver, type Solver } from '../solver/solver.ts'
import { reachableVertices } from '../solver/demand.ts'
import { checkImageWith, createLayerFetcher, fetchImageWith, pushWith } from '../build/transfers.ts'

/** Steps mostly wait (for sleep, network, a compiler of another step): more of them than cores keep the cores busy. */
const STEPS_PER_CORE = 8

/**
 * Builds an image from a Dockerfile or a fluent state.
 * @throws errors of every part, each with a stable code; nothing half-written stays behind.
 * @example
 * const result = await build({ context: '.', tags: ['my-app'] })
 * console.log(result.configDigest)
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const checked = checkOptions(options)
  const prepare: PrepareOutputs = (sourceDateEpoch, isEpochPending = false) =>
    prepareOutputs(outputsOf(options), {
      names: checked.names,
      sourceDateEpoch,
      isEpochPending,
      annotations: options.annotations ?? {},
      workingDirectory: process.cwd(),
      isTerminal: process.stdout.isTTY ?? false,
    })
  // Every attribute is checked before anything is built.
  prepare(checked.sourceDateEpoch, true)
  const internal = collectInternalSteps(options.onProgress)
  await using session = await openSession(options)
  const text: BuildText = {}
  try {
    const result = await buildIn(session, options, checked, prepare, internal.sink, text)
    return { ...result, internalSteps: internal.stepsBeside(result.vertices) }
  } catch (error) {
    if (!session.signal.aborted) throw withCodeFrame(noRoomError(session.store.root, error), text.dockerfile)
    const { reason } = session.signal
    throw reason instanceof BuilderError
      ? reason
      : new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: error })
  }
}

/** `isEpochPending`: a Dockerfile that was not read yet may still set the time. */
type PrepareOutputs = (sourceDateEpoch: number | undefined, isEpochPending?: boolean) => readonly PreparedExport[]

/** The text that an error may have to show. */
interface BuildText {
  dockerfile?: BuildSources['dockerfile'] | undefined
}

function outputsOf(options: BuildOptions): readonly OutputSpec[] {
  const outputs = options.outputs ?? []
  if (options.push) {
    const pushed = outputs.map((output) => (output.type === 'image' ? { ...output, push: true } : output))
    // Beside outputs that send nothing it is one more, as buildx has it.
    const isSent = outputs.some(({ type }) => type === 'image' || type === 'registry')
    return isSent ? pushed : [...pushed, { type: 'image', push: true }]
  }
  return outputs.length === 0 ? [{ type: 'image' }] : outputs
}

async function buildIn(
  session: Session,
  options: BuildOptions,
  checked: CheckedOptions,
  prepare: PrepareOutputs,
  sink: ProgressSink,
  text: BuildText,
): Promise<Omit<BuildResult, 'internalSteps'>> {
  const { store, signal } = session
  const { grantedContexts } = session
  const jobs = createJobRunner({ executor: session.executor, signal, grantedContexts })
  let wantsGzip = false
  const forms = createLayerForms({
    store,
    jobs,
    executor: session.executor,
    fetcher: createLayerFetcher(session, sink, pullPolicy(options.pull) !== 'never'),
    signal,
    isolation: options.isolation,
    compressesEarly: () => wantsGzip,
  })
  const pull = pullPolicy(options.pull)
  const fetchImage = fetchImageWith(session)
  const images = createImageResolver({
    store,
    fetchImage: (reference, platform) => {
      // A step will need the layers of an image that is not at hand, and unpacking them a process that takes as long to
      // start as the registry to answer.
      if (hasSteps(text.dockerfile?.text)) jobs.prepare()
      return fetchImage(reference, platform)
    },
    checkImage: checkImageWith(session),
    pull,
  })
  const contexts = createContexts(store, session.contexts, signal)
  let epochSec = checked.sourceDateEpoch
  const environment: OpsEnvironment = {
    store,
    forms,
    jobs,
    executor: session.executor,
    images,
    openLocal: contexts.open,
    secret: createSecrets(options.secrets ?? []),
    sshSocket: createSshSockets(options.ssh ?? []),
    allowed: checked.allowed,
    hostPlatform: hostPlatform(),
    signal,
    // A Dockerfile may name what the time is taken from: it is known when the file is lowered.
    get epochMs() {
      return epochSec === undefined ? undefined : epochSec * 1000
    },
  }
  let scopes: readonly string[] | undefined
  const findScopes = (): readonly string[] => {
    const found = projectScopes({ ...options, tags: checked.names, text: text.dockerfile?.text })
    // A remote context is fetched before its Dockerfile is known.
    if (text.dockerfile !== undefined) scopes = found
    return found
  }
  const solver = createSolver({
    drivers: createDrivers(environment),
    store,
    forms,
    scheduler: createScheduler(options.jobs ?? availableParallelism() * STEPS_PER_CORE),
    onProgress: sink,
    signal,
    digestLayers: (layers, selectors) => digestLayerPaths(environment, layers, selectors),
    explainer: createExplainer(store, () => scopes ?? findScopes()),
  })
  await using remote = remoteOnDemand(async () => {
    const { createRemoteContexts } = await import('../build/remote-context.ts')
    return createRemoteContexts({ store, forms, signal, solve: (edge) => solveView(solver, forms, edge) })
  })
  const sources = options.state === undefined ? await findSources(options, remote) : undefined
  const document = options.state === undefined ? undefined : createDocument(options.state)
  text.dockerfile = sources?.dockerfile ?? document?.parsed.source
  if (sources !== undefined) contexts.use(sources)
  const hooks: LowerHooks = {
    sourceTime: (edge) => sourceTime(solver, forms, edge),
    whileAsking: (image) => readLocals(solver, image.edge),
  }
  const image =
    document === undefined
      ? await lowerDockerfileBuild(options, checked, sources!, images, sink, hooks)
      : await lowerStateBuild(options, checked, document, images, contexts, sink, hooks)
  epochSec = image.sourceDateEpoch ?? epochSec
  const outputs = prepare(epochSec)
  wantsGzip = outputs.some((output) => output.wantsGzip === true)
  let layers: readonly LayerHandle[] = []
  let exported: readonly ExportResult[] = []
  try {
    if (image.edge !== undefined) {
      // Once a build, before anything runs: steps that share a cache see what another of them left, as with BuildKit.
      if (options.keepCacheMounts !== true) await store.emptyCacheMounts(ignoredCacheMounts(image.edge))
      const needsTar = outputs.some((output) => output.reads !== 'files')
      const outcome = await solver.solve(image.edge, { tree: false, tar: needsTar })
      const { output } = image.edge
      layers = await solver.use(outcome, async (results) => chainOf(forms, results[output], needsTar))
    }
    exported = await runExports(session, outputs, exportSource(session, forms, jobs, image, layers), sink)
    solver.finish()
  } finally {
    contexts.close()
    // What is finished is kept, also when something else went wrong.
    forms.syncTrees()
  }
  const states = solver.reporter.states()
  return { ...reportOf({ checked, image, layers, forms, outputs, exported, states }), traffic: { ...session.traffic } }
}

function hasSteps(dockerfile: string | undefined): boolean {
  return dockerfile !== undefined && /^[ \t]*RUN[ \t]/im.test(dockerfile)
}

/** The layers of the target, each in a form that outputs can read: what is gone is noticed before one of them begins. */
async function chainOf(
  forms: LayerForms,
  result: Result | undefined,
  needsTar: boolean,
): Promise<readonly LayerHandle[]> {
  const layers = result === undefined ? [] : layersOf(forms, result)
  for (const layer of layers) if (needsTar && !layer.isBase) await forms.tar(layer)
  return layers
}

/** Begins to read the build contexts, which no base can change. What fails fails again where it is needed. */
function readLocals(solver: Solver, edge: Edge | undefined): void {
  for (const vertex of edge === undefined ? [] : reachableVertices(edge)) {
    if (vertex.op.kind !== 'source' || !vertex.op.identifier.startsWith('local://')) continue
    solver
      .solve({ vertex, output: 0 }, { tree: false, tar: false })
      .then((outcome) => outcome.load())
      .catch(() => undefined)
  }
}

/** When the content of a source was made: the newest time of its files. */
async function sourceTime(solver: Solver, forms: LayerForms, edge: Edge): Promise<number | undefined> {
  const view = await solveView(solver, forms, edge)
  let newest = 0
  for (const entry of view.walk('')) if (entry.type === 'file') newest = Math.max(newest, entry.mtimeSec)
  return newest === 0 ? undefined : newest
}

/** The file system of a vertex that is needed before the rest is known: a context that comes from elsewhere. */
async function solveView(solver: Solver, forms: LayerForms, edge: Edge): Promise<View> {
  const outcome = await solver.solve(edge, { tree: false, tar: false })
  return solver.use(outcome, async (results) => {
    const result = results[edge.output]
    if (result === undefined) throw new Error(`vertex ${edge.vertex.metadata.name} has no output ${edge.output}`)
    return result.kind === 'local' ? result.view : forms.view(result.layers)
  })
}

function exportSource(
  session: Session,
  forms: LayerForms,
  jobs: JobRunner,
  image: LoweredImage,
  layers: readonly LayerHandle[],
): ExportSource {
  const { store } = session
  return {
    image,
    layers: createLayerProvider({ store, forms, jobs, layers }),
    view: () => forms.view(layers),
    async *readFile(entry, signal) {
      const { readEntry } = await import('../layers/read-entry.ts')
      yield* readEntry(forms, jobs, entry, signal)
    },
  }
}

async function runExports(
  session: Session,
  outputs: readonly PreparedExport[],
  source: ExportSource,
  sink: ProgressSink,
): Promise<readonly ExportResult[]> {
  const works = outputs.map(
    (output) => (signal: AbortSignal) =>
      internalStep(sink, output.name, (reportStatus) =>
        output.run(source, {
          store: session.store,
          signal,
          stdout: process.stdout,
          now: () => Date.now(),
          report: (part) => reportStatus(part.id, part.id, part),
          pushImage: pushWith(session, reportStatus),
        }),
      ),
  )
  return runAll(works, session.signal)
}
