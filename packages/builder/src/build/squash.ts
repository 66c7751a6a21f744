import type { LoweredImage } from '../image/lowered.ts'
import type { LayerFactory, LayerHandle, LayerReader } from '../layers/types.ts'
import { diffTrees } from '../view/diff.ts'
import { treeOf } from '../view/view.ts'

/**
 * One layer in place of those that a build has made, or of all: what the last of them shows, compared with what stays below it.
 * The same layers give the same one, with the time of the newest.
 * @param layers of the image, bottom first
 */
export async function squashLayers(
  forms: Pick<LayerFactory, 'fromSelection'> & Pick<LayerReader, 'view'>,
  image: LoweredImage,
  layers: readonly LayerHandle[],
): Promise<readonly LayerHandle[]> {
  if (image.squash === undefined) return layers
  const kept = image.squash === 'all' ? [] : layers.slice(0, image.base?.layers.length ?? 0)
  const joined = layers.slice(kept.length)
  if (joined.length < 2) return layers
  const [lower, upper] = [await forms.view(kept), await forms.view(layers)]
  // What no layer above has named is the same entry in both; of what was written anew, equal bytes are a change as well.
  const entries = diffTrees(treeOf(lower), treeOf(upper), () => false)
  const createdMs = Math.max(...joined.map((layer) => layer.createdMs ?? 0))
  return [...kept, forms.fromSelection(entries, { createdMs, description: 'squash' })]
}
