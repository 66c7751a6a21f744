import { BuilderError } from '../base/errors.ts'
import { formatFamiliar, parseReference } from '../oci/reference.ts'
import { parseTimeBound } from '../oci/time-bound.ts'
import type { PruneImagesOptions, PruneImagesOutcome } from '../build/public-types.ts'
import { sessionOf } from '../build/session.ts'
import { imageId } from '../store/image-id.ts'
import { isDangling } from '../store/images.ts'
import type { ImageRecord, Store } from '../store/types.ts'
import { labelsOf } from './images.ts'
import { withRoom } from './with-room.ts'

/**
 * Removes images without a name, or all of them, and the layers that nothing needs then.
 * @throws OCI_OPTION_INVALID for a filter that is not understood
 */
export function pruneImages(options: PruneImagesOptions = {}): Promise<PruneImagesOutcome> {
  return withRoom(options, () => pruneOnce(options))
}

async function pruneOnce(options: PruneImagesOptions): Promise<PruneImagesOutcome> {
  await using session = await sessionOf(options)
  const { store } = session
  const fits = predicateOf(store, options.filters ?? [], Date.now())
  // In one transaction: what gets a name meanwhile stays.
  const going = store.transaction(() => {
    const chosen = store.images.list().filter((one) => (options.all === true || isDangling(one.name)) && fits(one))
    for (const { name } of chosen) store.images.remove(name)
    const left = new Set(store.images.list().map(imageId))
    return { chosen, deleted: [...new Set(chosen.map(imageId))].filter((id) => !left.has(id)) }
  })
  const untagged = going.chosen
    .filter(({ name }) => !isDangling(name))
    .map(({ name }) => formatFamiliar(parseReference(name)))
  // Layers that were images' alone: what a step of the cache has stays with it.
  const { reclaimedBytes } =
    going.chosen.length === 0 ? { reclaimedBytes: 0 } : await store.prune({ onlyUnowned: true })
  return { untagged, deleted: going.deleted, reclaimedBytes }
}

type Predicate = (image: ImageRecord) => boolean

function predicateOf(store: Store, filters: readonly string[], nowMs: number): Predicate {
  const predicates = filters.map((filter) => onePredicate(store, filter, nowMs))
  return (image) => predicates.every((fits) => fits(image))
}

function onePredicate(store: Store, filter: string, nowMs: number): Predicate {
  const [, name = '', value = ''] = /^\s*(until|label|label!)\s*=(.*)$/s.exec(filter) ?? []
  if (name === 'until') {
    const limitMs = parseTimeBound(value.trim(), nowMs)
    if (limitMs !== undefined) return ({ createdMs }) => createdMs < limitMs
  }
  if (name.startsWith('label') && value !== '') {
    const [, key = '', wanted] = /^([^=]*)(?:=(.*))?$/s.exec(value.trim()) ?? []
    const has: Predicate = (image) => {
      const labels = labelsOf(store, image)
      return Object.hasOwn(labels, key) && (wanted === undefined || labels[key] === wanted)
    }
    return name === 'label' ? has : (image) => !has(image)
  }
  throw new BuilderError('OCI_OPTION_INVALID', `the filter ${JSON.stringify(filter)} is not understood`, {
    hint: 'until=24h, until=2024-01-31, label=NAME, label=NAME=VALUE, or label!=NAME',
  })
}
