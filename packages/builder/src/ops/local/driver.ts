import type { OpsEnvironment } from '../environment.ts'
import type { OpDriver } from '../../solver/types.ts'

const SCHEME = 'local://'

/** Directories of this machine. Never found by definition, only by the content that others read of them. */
export function createLocalDriver(environment: Pick<OpsEnvironment, 'openLocal'>): OpDriver {
  return {
    recordType: 'source.local',
    handles: (vertex) => vertex.op.kind === 'source' && vertex.op.identifier.startsWith(SCHEME),
    cacheMap: () => ({ payload: undefined, selectors: [], neverByDefinition: true }),
    inputUse: () => [],
    run: async (vertex, _inputs, run) => {
      if (vertex.op.kind !== 'source') throw new Error('not a source')
      return [await environment.openLocal(vertex.op.identifier.slice(SCHEME.length), vertex.op.attrs, run)]
    },
  }
}
