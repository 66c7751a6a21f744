import { chainIdOf, parseDigest, type DiffID } from '../../oci/digest.ts'
import { makeAhead } from '../../layers/ahead.ts'
import type { Vertex } from '../../graph/types.ts'
import type { OpsEnvironment, ResolvedImage } from '../environment.ts'
import type { SourceSpec } from '../../graph/op-specs.ts'
import type { OpDriver } from '../../solver/types.ts'

/** What images are made with. */
type ImageParts = Pick<OpsEnvironment, 'store' | 'forms' | 'images' | 'hostPlatform'>

const SCHEME = 'docker-image://'
const LAYOUT_SCHEME = 'oci-layout://'

/** Images of registries, of the store and of layouts on this machine. Keyed by chainID: an image that was tagged or packed anew is the same base. */
export function createImageDriver(environment: ImageParts): OpDriver {
  const resolve = (vertex: Vertex): Promise<ResolvedImage> => {
    const { identifier, attrs } = sourceOf(vertex)
    const platform = vertex.platform ?? environment.hostPlatform
    if (identifier.startsWith(SCHEME)) return environment.images.resolve(identifier.slice(SCHEME.length), platform)
    return environment.images.resolveLayout(
      { directory: attrs['oci.store']!, digest: parseDigest(identifier.slice(identifier.lastIndexOf('@') + 1)) },
      platform,
    )
  }
  return {
    recordType: 'internal',
    handles: (vertex) =>
      vertex.op.kind === 'source' &&
      (vertex.op.identifier.startsWith(SCHEME) || vertex.op.identifier.startsWith(LAYOUT_SCHEME)),
    cacheMap: async (vertex) => {
      const image = await resolve(vertex)
      const chain = chainIdOf(image.config.rootfs.diff_ids) ?? 'empty'
      return {
        payload: undefined,
        selectors: [],
        identity: `image:${chain}`,
        isUnrecorded: true,
        isPresent: image.config.rootfs.diff_ids.every((diffId) => isLocal(environment, diffId)),
      }
    },
    sharedKeys: async (vertex) => {
      const image = await resolve(vertex)
      const { imageKey } = await import('../../cache/buildkit/op-key.ts')
      const chain = chainIdOf(image.config.rootfs.diff_ids)
      const byName = imageKey(image.digest, vertex.platform ?? environment.hostPlatform)
      return chain === undefined ? [byName] : [byName, chain]
    },
    inputUse: () => [],
    run: async (vertex, _inputs, run) => {
      const image = await resolve(vertex)
      run.status('resolve', `resolve ${image.reference}`, { completedMs: Date.now() })
      const diffIds = image.config.rootfs.diff_ids
      const layers = image.manifest.layers.map((descriptor, index) => ({ descriptor, diffId: diffIds[index]! }))
      const { forms } = environment
      const handles = forms.fromImage(
        layers,
        image.isRemote ? image.reference : undefined,
        vertex.digest,
        run.demand.tree,
      )
      // What a step will mount is fetched and unpacked here, so that the time is told where it is spent.
      if (run.demand.tree) await makeAhead(() => Promise.all(handles.map((layer) => forms.forStep(layer))))
      return [{ kind: 'layers', layers: handles }]
    },
  }
}

/** Some form of the layer lies on this machine. */
function isLocal({ store }: ImageParts, diffId: DiffID): boolean {
  const record = store.layers.findByDiffId(diffId)
  return record !== undefined && (record.hasTar || record.blobs.length > 0 || record.trees !== undefined)
}

function sourceOf(vertex: Vertex): SourceSpec {
  if (vertex.op.kind !== 'source') throw new Error('not a source')
  return vertex.op
}
