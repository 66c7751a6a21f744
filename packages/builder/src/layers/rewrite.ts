import type { LayerForms, LayerHandle } from './types.ts'

const rewritten = new WeakMap<LayerForms, Map<string, LayerHandle>>()

/** The same layer with no time above the limit (BuildKit's `rewrite-timestamp`); made once a build. */
export async function rewriteTimes(options: {
  readonly forms: LayerForms
  readonly layer: LayerHandle
  readonly limitSec: number
}): Promise<LayerHandle> {
  const { forms, layer, limitSec } = options
  let known = rewritten.get(forms)
  if (known === undefined) rewritten.set(forms, (known = new Map()))
  const key = `${layer.id}@${limitSec}`
  const done = known.get(key)
  if (done) return done
  const { entries } = await forms.table(layer)
  const isLate = (sec: number, nsec: number): boolean => sec > limitSec || (sec === limitSec && nsec > 0)
  const clamped = entries.map((entry) =>
    isLate(entry.mtimeSec, entry.mtimeNsec) && entry.type !== 'whiteout'
      ? { ...entry, mtimeSec: limitSec, mtimeNsec: 0 }
      : entry,
  )
  const result = forms.fromSelection(clamped, { createdMs: layer.createdMs, description: layer.description })
  known.set(key, result)
  return result
}
