import type { FormsState } from './conversion.ts'
import { tableOf } from './form-of.ts'
import { fromSelection } from './selection.ts'
import type { LayerHandle } from './types.ts'

/** The same layer with no time above the limit (BuildKit's `rewrite-timestamp`); made once a build. */
export function withTimesUpTo(state: FormsState, layer: LayerHandle, limitSec: number): Promise<LayerHandle> {
  return state.once(`times ${layer.id}@${limitSec}`, async () => {
    const { entries } = await tableOf(state, layer)
    const isLate = (sec: number, nsec: number): boolean => sec > limitSec || (sec === limitSec && nsec > 0)
    const clamped = entries.map((entry) =>
      isLate(entry.mtimeSec, entry.mtimeNsec) && entry.type !== 'whiteout'
        ? { ...entry, mtimeSec: limitSec, mtimeNsec: 0 }
        : entry,
    )
    return fromSelection(state, clamped, { createdMs: layer.createdMs, description: layer.description })
  })
}
