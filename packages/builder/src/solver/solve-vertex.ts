import { randomBytes } from 'node:crypto'
import type { Explainer } from '../cache/explain.ts'
import { createCacheQuery } from '../cache/keys.ts'
import type { SharedKey } from '../cache/buildkit/types.ts'
import type {
  CacheCandidate,
  CacheKey,
  CacheManager,
  CacheMap,
  CacheQuery,
  NearMiss,
  StoreKeys,
} from '../cache/types.ts'
import type { Vertex } from '../graph/types.ts'
import { missingLayerOf } from '../layers/missing-form.ts'
import type { Failures } from './failures.ts'
import { createOutcome } from './outcome.ts'
import { sharedKeyOf } from './shared-key.ts'
import { whileMissing } from './missing-layers.ts'
import { isCandidate, type RecordedVertices } from './recorded.ts'
import type { RecordedWork } from './run-vertex.ts'
import type { Readiness } from './readiness.ts'
import type { VertexReporter } from './reporter.ts'
import type { OpDriver, Result, RunContext } from './types.ts'
import {
  describeFiles,
  inputKeys,
  isNever,
  loadInputs,
  withContentOfLocals,
  withContents,
  type DigestLayers,
  type SharedDigestLayers,
  type VertexOutcome,
} from './vertex-keys.ts'

export interface VertexSolverOptions {
  readonly driverOf: (vertex: Vertex) => OpDriver
  readonly cache: CacheManager
  readonly recorded: RecordedVertices
  readonly reporter: VertexReporter
  readonly failures: Failures
  readonly runContext: (vertex: Vertex) => RunContext
  readonly digestLayers: DigestLayers
  readonly sharedDigestLayers: SharedDigestLayers
  readonly readiness: Readiness
  readonly explainer?: Explainer | undefined
}

/** A vertex whose inputs are solved. */
interface Solving {
  readonly vertex: Vertex
  readonly driver: OpDriver
  readonly map: CacheMap
  readonly inputs: readonly VertexOutcome[]
  readonly shared: SharedKey
}

/** Solves a vertex whose inputs are solved: finds it in the cache, or runs it. */
export type SolveVertex = (vertex: Vertex, inputs: readonly VertexOutcome[]) => Promise<VertexOutcome>

export function createVertexSolver(options: VertexSolverOptions): SolveVertex {
  const { failures } = options
  return async (vertex, inputs) => {
    failures.signal.throwIfAborted()
    try {
      const driver = options.driverOf(vertex)
      const map = await driver.cacheMap(vertex)
      const shared = sharedKeyOf({ vertex, driver, inputs, digestLayers: options.sharedDigestLayers })
      const solving = { vertex, driver, map, inputs, shared }
      if (map.neverByDefinition || map.isUnrecorded) return unrecorded(options, solving)
      const withLocals = withContentOfLocals(map, inputs)
      return await solveRecorded(options, { ...solving, map: withLocals })
    } catch (cause) {
      const error = failures.failed(vertex, cause)
      if (missingLayerOf(error) !== undefined) failures.lost(vertex, error)
      throw error
    }
  }
}

/** What leaves no record: it is run when somebody asks for its results. */
function unrecorded(
  options: VertexSolverOptions,
  { vertex, driver, map, inputs, shared: key }: Solving,
): VertexOutcome {
  const { reporter } = options
  const make = async (): Promise<readonly Result[]> => {
    reporter.started(vertex)
    try {
      const results = await driver.run(vertex, await loadInputs(vertex, inputs), options.runContext(vertex))
      reporter.completed(vertex, map.isPresent ?? false)
      return results
    } catch (cause) {
      throw options.failures.failed(vertex, cause)
    }
  }
  if (map.isPresent) reporter.completed(vertex, true)
  const keys = map.identity === undefined ? [] : [map.identity]
  const shared = map.neverByDefinition ? undefined : key
  return createOutcome({ keys, cached: map.isPresent ?? false, shared, inputs, find: () => undefined, make })
}

async function solveRecorded(options: VertexSolverOptions, solving: Solving): Promise<VertexOutcome> {
  const { vertex, map, inputs, shared } = solving
  const ignoreCache = vertex.metadata.ignoreCache ?? false
  let query = createCacheQuery(map, inputKeys(vertex, inputs), shared)
  const find = async (joinedKey?: string): Promise<CacheCandidate | undefined> => {
    if (joinedKey !== undefined) return options.cache.get(joinedKey)
    return ignoreCache ? undefined : bestOf(await options.cache.find(query))
  }
  // By keys alone first: contents are read only of what these do not find.
  const early = inputs.some(isNever) && map.identity === undefined ? undefined : await find()
  if (early) return hit(options, solving, query, early)
  if (map.identity === undefined && map.selectors.some((selectors) => selectors !== undefined)) {
    const contents = await whileMissing(inputs, () => withContents(vertex, map, inputs, options.digestLayers))
    query = createCacheQuery(map, contents, shared)
    const found = await find()
    if (found) return hit(options, solving, query, found)
  }
  return run(options, solving, query, find)
}

async function run(
  options: VertexSolverOptions,
  solving: Solving,
  query: CacheQuery,
  find: (joinedKey?: string) => Promise<CacheCandidate | undefined>,
): Promise<VertexOutcome> {
  const { vertex, map, inputs } = solving
  const ignoreCache = vertex.metadata.ignoreCache ?? false
  const keys = query.storeKeys()
  const first = firstOf(vertex, keys)
  const described = await describeFiles(vertex, map, inputs, keys.byContent ?? first)
  // What is made anew on purpose gets a key of its own: what was built on the former result is not built on this one.
  const own = { ...described, key: ignoreCache ? `${first.key}#${randomBytes(8).toString('hex')}` : first.key }
  await checkReadiness(options, vertex)
  const elsewhere = ignoreCache ? undefined : nearMissInWords(vertex, await options.cache.explainMiss?.(query))
  const work: RecordedWork = { ...solving, own, keys: [keys.byDefinition, keys.byContent] }
  const done = await options.recorded.runOnce<CacheCandidate>({
    work,
    lockKey: first.key,
    find,
    telling: () => {
      if (ignoreCache) return {}
      const here = options.explainer?.explain(vertex.metadata.name, own)
      return { missReason: [here, elsewhere].filter((one) => one !== undefined).join('; ') || undefined }
    },
  })
  return isCandidate(done) ? hit(options, solving, query, done) : options.recorded.outcome(work, done)
}

/** What a cache from elsewhere lacks of a step. */
function nearMissInWords({ op, inputs }: Vertex, near: NearMiss | undefined): string | undefined {
  if (near === undefined) return undefined
  const { origin, otherInputs } = near
  if (otherInputs === undefined) return `${origin} does not have the step`
  if (otherInputs.length === 0) return `${origin} has the step and its inputs, not together`
  const [base] = op.kind === 'exec' || op.kind === 'file' ? [0] : []
  const names = otherInputs.map((at) => {
    const { metadata } = inputs[at]!.vertex
    if (at === base && inputs.length > 1) return 'another base'
    return isInternal(metadata.name) ? 'other files of the context' : `another ${metadata.name}`
  })
  return `${origin} has the step with ${names.join(' and ')}`
}

function isInternal(name: string): boolean {
  return name.startsWith('[internal] ')
}

/** A step that cannot run here is refused at its own place, before what it stands on is fetched. */
async function checkReadiness({ readiness, driverOf, failures }: VertexSolverOptions, vertex: Vertex): Promise<void> {
  const first = readiness.nearest(vertex)
  if (first === undefined) return
  try {
    await driverOf(first).ready?.(first)
  } catch (cause) {
    throw failures.failed(first, cause)
  }
}

function hit(options: VertexSolverOptions, solving: Solving, query: CacheQuery, found: CacheCandidate): VertexOutcome {
  const { vertex } = solving
  options.reporter.completed(vertex, true, found.origin)
  // A cache from elsewhere has keys of its own: here the vertex goes by the store's key all the same.
  const { key, preimage } = found.isForeign ? keep(options, solving, query, found) : found
  return options.recorded.outcome({ ...solving, own: { key, preimage }, keys: [] }, found)
}

/** What a cache from elsewhere has is kept in the store: the next build finds it here. */
function keep(
  { cache, runContext }: VertexSolverOptions,
  { vertex, driver }: Solving,
  query: CacheQuery,
  found: CacheCandidate,
): CacheKey {
  const keys = query.storeKeys()
  const own = firstOf(vertex, keys)
  const { tree } = runContext(vertex).demand
  const layers = found.hasContent ? found.layers(vertex.digest, tree) : undefined
  if (layers === undefined) return own
  const alternatives = [keys.byDefinition, keys.byContent].flatMap((key) =>
    key === undefined || key.key === own.key ? [] : [key.key],
  )
  const { name } = vertex.metadata
  cache.save({
    ...own,
    alternatives,
    layers,
    hasContent: true,
    name,
    type: driver.recordType,
    isReplacing: false,
    notes: [],
  })
  return own
}

/** Of several records that with content: what was found without it has to be run again. */
function bestOf(candidates: readonly CacheCandidate[]): CacheCandidate | undefined {
  return candidates.find(({ hasContent }) => hasContent) ?? candidates[0]
}

function firstOf(vertex: Vertex, { byDefinition, byContent }: StoreKeys): CacheKey {
  const key = byDefinition ?? byContent
  if (key === undefined) throw new Error(`vertex ${vertex.metadata.name} has no cache key`)
  return key
}
