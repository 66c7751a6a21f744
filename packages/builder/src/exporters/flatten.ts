import type { LayerEntry, View } from '../view/types.ts'

/** The entries of a merged file system as an archive needs them: of hard links the first path has the bytes, later ones name it. */
export function* flatten(view: View, epochSec: number | undefined): Generator<LayerEntry, void, undefined> {
  const first = new Map<string, string>()
  for (const { linkKey, ...entry } of view.walk('')) {
    const timed = epochSec === undefined ? entry : { ...entry, mtimeSec: epochSec, mtimeNsec: 0 }
    const target = linkKey === undefined ? undefined : first.get(linkKey)
    if (linkKey !== undefined && target === undefined) first.set(linkKey, entry.path)
    yield target === undefined ? timed : { ...timed, type: 'hardlink', size: 0, link: target }
  }
}
