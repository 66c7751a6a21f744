import { loadOnce } from '../../base/load-once.ts'
import type { Vertex } from '../../graph/types.ts'
import type { CacheMap } from '../../cache/types.ts'
import type { ExecMount, ExecSpec } from '../../graph/op-specs.ts'
import type { InputUse, OpDriver } from '../../solver/types.ts'
import type { ContentSelector } from '../../view/types.ts'
import { refuseRights } from './rights.ts'
import type { StepParts } from './run.ts'
import { createUserFiles } from './user-files.ts'

// A build that is all cached never loads what runs a step.
const loadRun = loadOnce(() => import('./run.ts'))

/** RUN. */
export function createExecDriver(environment: StepParts): OpDriver {
  const userFiles = createUserFiles()
  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'exec',
    cacheMap: (vertex) => keyOf(environment, vertex),
    inputUse: (vertex): readonly InputUse[] => vertex.inputs.map(() => 'tree'),
    admit: (vertex) => refuseRights(environment.allowed, vertex, execSpecOf(vertex)),
    ready: async () => (await loadRun()).checkStep(environment),
    run: async (vertex, inputs, run) => {
      const { runExec } = await loadRun()
      return [await runExec({ environment, userFiles, vertex, spec: execSpecOf(vertex), inputs, run })]
    },
  }
}

/** A device counts by its own name, whatever it was asked for as; one that is not there does not count. */
function keyOf({ devices }: StepParts, vertex: Vertex): CacheMap | Promise<CacheMap> {
  const spec = execSpecOf(vertex)
  const selectors = selectorsOf(vertex)
  const { cdiDevices } = spec
  if (cdiDevices === undefined || cdiDevices.length === 0)
    return { payload: keyedExec(spec, vertex, undefined), selectors }
  const find = async (): Promise<CacheMap> => {
    const { findStepDevices } = await import('./devices.ts')
    const { found } = await findStepDevices(devices, vertex, cdiDevices)
    return {
      payload: keyedExec(
        spec,
        vertex,
        found.map(({ name }) => name),
      ),
      selectors,
    }
  }
  return find()
}

function execSpecOf(vertex: Vertex): ExecSpec {
  if (vertex.op.kind !== 'exec') throw new Error('not an exec op')
  return vertex.op
}

/** What of a step decides its result (features 5, rule 2): not proxies, not addresses of hosts, not where caches come from. */
function keyedExec(spec: ExecSpec, vertex: Vertex, devices: readonly string[] | undefined): unknown {
  const { proxyEnv: _proxy, extraHosts, ...meta } = spec.meta
  const isRootOnly = spec.mounts.length === 1 && spec.mounts[0]?.dest === '/'
  return {
    kind: 'exec',
    meta: { ...meta, extraHosts: extraHosts.map((entry) => entry.host) },
    network: spec.network,
    security: spec.security,
    secretEnv: spec.secretEnv,
    cdiDevices: devices?.length === 0 ? undefined : devices,
    mounts: isRootOnly ? undefined : spec.mounts.map(keyedMount),
    platform: vertex.platform,
  }
}

function keyedMount(mount: ExecMount): unknown {
  const { selector: _selector, cache, ...rest } = mount
  return { ...rest, cache: cache && cache.id === mount.dest ? { id: cache.id } : undefined }
}

/** A read-only mount counts by its content; the root and what a step may write counts by its key (rule 5). */
function selectorsOf(vertex: Vertex): readonly (readonly ContentSelector[] | undefined)[] {
  const mounts = execSpecOf(vertex).mounts
  return vertex.inputs.map((_, index) => {
    const users = mounts.filter((mount) => mount.input === index)
    if (users.some((mount) => mount.dest === '/')) return undefined
    return users.map((mount) => ({
      path: mount.selector || '/',
      followLast: true,
      allowWildcard: false,
      includePatterns: [],
      excludePatterns: [],
    }))
  })
}
