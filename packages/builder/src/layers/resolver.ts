import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { assertLockOrder } from '../store/lock-order.ts'
import type { LayerEntry } from '../view/types.ts'
import { findBlob, findTar, findTree, hasTable } from './at-hand.ts'
import type { Conversion, FormName, Made, SourceName, FormsState } from './conversion.ts'
import { missingForm, missingLayerOf } from './missing-form.ts'
import { toStored } from './stored-table.ts'
import type { LayerHandle } from './types.ts'

/** Conversions of the longest way, and as many again for what vanishes meanwhile. */
const MAX_CONVERSIONS = 10

/** Makes a form, where it is not at hand, by the cheapest way that is open. @throws a missing form where none is */
export async function ensureForm(state: FormsState, layer: LayerHandle, target: FormName): Promise<void> {
  for (let count = 0; !(await isAtHand(state, layer, target)); count++) {
    const next = count < MAX_CONVERSIONS ? await nextConversion(state, layer, target) : undefined
    if (next !== undefined) await run(state, layer, next)
    else if (count >= MAX_CONVERSIONS || !(await isPutBack(state, layer))) throw nothingLeft(state, layer, target)
  }
}

const PUT_BACK_TRIES = 25
const PUT_BACK_MS = 20

/**
 * Whether the row of a layer that this build has leased comes back: `prune` takes rows out, reads the leases once more, and
 * puts back those that were leased a moment before.
 */
async function isPutBack(state: FormsState, layer: LayerHandle): Promise<boolean> {
  if (state.record(layer) !== undefined) return false
  for (let tries = 0; tries < PUT_BACK_TRIES; tries++) {
    await delay(PUT_BACK_MS, undefined, { signal: state.signal })
    if (state.record(layer) !== undefined) return true
  }
  return false
}

/** Makes one thing of a layer once, in this process and across processes: `find` says whether somebody was faster. */
export function makeOnce<T>(
  state: FormsState,
  layer: LayerHandle,
  target: string,
  find: () => Promise<T | undefined> | T | undefined,
  make: () => Promise<T>,
): Promise<T> {
  const name = `${target}-${layer.id}`
  // Also where another caller of this build is at it: to wait for who waits for a lock is to wait for that lock.
  assertLockOrder(state.store.root, 'layer', name)
  return state.shared(name, () =>
    state.store.locks.hold('layer', [{ name }], { signal: state.signal }, async () => (await find()) ?? make()),
  )
}

async function run(state: FormsState, layer: LayerHandle, conversion: Conversion): Promise<void> {
  const { to } = conversion
  const entries = (await conversion.prepare?.(state, layer)) ?? []
  const find = async (): Promise<true | undefined> => ((await isAtHand(state, layer, to)) ? true : undefined)
  try {
    await makeOnce(state, layer, to, find, async () => {
      record(state, layer, to, await conversion.convert(state, layer, entries))
      if (conversion.isCostly === true) state.store.sync()
      return true
    })
  } catch (error) {
    // What it read was removed under it: the way is looked for again, and ends where nothing is left.
    const missing = missingLayerOf(error)
    const isGone =
      missing === undefined ? !(await areThere(state, layer, conversion.from, entries)) : missing === layer.id
    if (!isGone) throw error
  }
}

function record(state: FormsState, layer: LayerHandle, to: FormName, { forms, entries }: Made): void {
  if (entries !== undefined) state.store.layers.writeTable(layer.id, toStored(entries))
  state.put(layer, { ...forms, ...(entries === undefined ? {} : { hasTable: true }) })
  if (forms.trees !== undefined) state.newTrees.add(layer.id)
  // From now on what is stored is read: of a large context the entries are the most of our memory.
  if (to === 'tar') state.forgetSelection(layer)
  if (to === 'tree') state.forgetTemporary(layer)
}

async function isAtHand(state: FormsState, layer: LayerHandle, form: SourceName): Promise<boolean> {
  switch (form) {
    case 'remote':
      return state.record(layer)?.remote !== undefined
    case 'selection':
      return state.selections.has(layer.id)
    case 'blob':
      return findBlob(state, layer) !== undefined
    case 'table':
      return hasTable(state, layer)
    case 'tar':
      return findTar(state, layer) !== undefined
    case 'tree':
      return (await findTree(state, state.record(layer))) !== undefined
  }
}

/** The first step of the cheapest way from what is at hand to the target. */
async function nextConversion(
  state: FormsState,
  layer: LayerHandle,
  target: FormName,
): Promise<Conversion | undefined> {
  const open = (await state.conversions()).filter((way) => way.applies?.(state, layer) ?? true)
  const costs = new Map<SourceName, number>()
  const via = new Map<SourceName, Conversion>()
  for (const { from } of open) if (!costs.has(from) && (await isAtHand(state, layer, from))) costs.set(from, 0)
  for (let isNew = true; isNew;) {
    isNew = false
    for (const way of open) {
      const cost = (costs.get(way.from) ?? Infinity) + way.cost
      if (cost >= (costs.get(way.to) ?? Infinity)) continue
      costs.set(way.to, cost)
      via.set(way.to, way)
      isNew = true
    }
  }
  let next = via.get(target)
  while (next !== undefined && via.has(next.from)) next = via.get(next.from)
  return next
}

/** Whether what a conversion read is still where it was. */
async function areThere(
  state: FormsState,
  layer: LayerHandle,
  from: SourceName,
  entries: readonly LayerEntry[],
): Promise<boolean> {
  if (!(await isAtHand(state, layer, from))) return false
  const places = new Set<string>()
  for (const { content } of entries) {
    if (content?.kind === 'range') places.add(content.file)
    if (content?.kind === 'tree') places.add(content.root)
  }
  // Others are the user's: when those are gone, no producer of ours brings them back.
  return [...places].every((place) => !place.startsWith(`${state.store.root}/`) || existsSync(place))
}

function nothingLeft(state: FormsState, layer: LayerHandle, target: FormName): Error {
  const record = state.record(layer)
  const what = `layer ${layer.id} (${layer.description})`
  if (record === undefined) return missingForm(layer.id, `${what} is not in the store`)
  if (record.trees !== undefined && target !== 'table')
    return missingForm(
      layer.id,
      `the tree of ${what} was made by another kind of isolation and nothing else of it is left`,
      'build with --no-cache, or prune the cache',
    )
  return missingForm(
    layer.id,
    `no ${target === 'table' ? 'table' : 'blob'} of ${what} is in the store, and no registry is known to have it`,
    'pull its image, or build with --no-cache',
  )
}
