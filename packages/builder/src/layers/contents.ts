import type { ContentSource, LayerEntry, SparseMap } from '../view/types.ts'
import type { Digest } from '../oci/digest.ts'
import type { FormsState } from './conversion.ts'
import { findTar, findTree, type TarForm } from './at-hand.ts'
import { missingForm } from './missing-form.ts'
import { tarOf } from './form-of.ts'

type Location = { readonly tar: string } | { readonly tree: string }

/**
 * Entries whose bytes lie in layers of the store, with sources that can be read: ranges of a tar, or files of a tree.
 * `self`: the layer that they are asked for, which cannot wait for itself.
 */
export async function resolveContents(
  state: FormsState,
  entries: readonly LayerEntry[],
  self?: string,
): Promise<readonly LayerEntry[]> {
  const needed = new Set<string>()
  for (const { content } of entries) if (content?.kind === 'layer') needed.add(content.layer)
  if (needed.size === 0) return entries
  const locations = new Map<string, Location>()
  for (const id of needed) locations.set(id, await locate(state, id, id === self))
  const offsetOf = createOffsets(state)
  return entries.map((entry) => {
    const { content } = entry
    return content?.kind === 'layer'
      ? { ...entry, content: sourceIn(locations.get(content.layer)!, content, offsetOf) }
      : entry
  })
}

type RangeInTar = Pick<Extract<ContentSource, { kind: 'range' }>, 'offset' | 'map'>

function rangeIn(offset: number, map: SparseMap | undefined): RangeInTar {
  return map === undefined ? { offset } : { offset, map }
}

type LayerContent = Extract<ContentSource, { kind: 'layer' }>

function sourceIn(
  location: Location,
  content: LayerContent,
  offsetOf: (content: LayerContent) => RangeInTar | undefined,
): ContentSource {
  if ('tree' in location) return { kind: 'tree', root: location.tree, path: content.path }
  const range = content.offset === undefined ? offsetOf(content) : rangeIn(content.offset, content.map)
  if (range === undefined)
    throw missingForm(
      content.layer,
      `the bytes of ${JSON.stringify(content.path)} in layer ${content.layer} are not at hand`,
    )
  return { kind: 'range', file: location.tar, ...range }
}

/** A view made before its layer was packed has no offsets: the table that pack wrote has them. */
function createOffsets(state: FormsState): (content: LayerContent) => RangeInTar | undefined {
  const tables = new Map<string, ReadonlyMap<string, LayerEntry>>()
  return ({ layer, path }) => {
    let byPath = tables.get(layer)
    if (byPath === undefined) {
      byPath = new Map(
        (state.store.layers.readTable(layer)?.entries ?? []).map((entry) => [entry.path, entry] as const),
      )
      tables.set(layer, byPath)
    }
    const packed = byPath.get(path)?.content
    return packed?.kind === 'range' ? rangeIn(packed.offset, packed.map) : undefined
  }
}

/** A plain tar is read by anybody; else a tree that is there; else the layer is packed or its blob inflated. */
async function locate(state: FormsState, id: string, isSelf: boolean): Promise<Location> {
  const layer = state.load(id)
  const pathOf = ({ diffId }: TarForm): Location => ({ tar: state.store.blobs.path(diffId as string as Digest) })
  const tar = findTar(state, layer)
  if (tar !== undefined) return pathOf(tar)
  const directory = await findTree(state, state.record(layer))
  if (directory !== undefined) return { tree: directory }
  if (isSelf) throw missingForm(id, `the content of layer ${id} is not at hand`)
  return pathOf(await tarOf(state, layer))
}
