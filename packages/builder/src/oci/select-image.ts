import { BuilderError } from '../base/errors.ts'
import type { Digest } from './digest.ts'
import { parseImageConfig } from './image-config.ts'
import { looksLikeIndex, parseIndex } from './image-index.ts'
import { parseManifest, type ParsedManifest } from './manifest.ts'
import { isConfigType, isIndexType, isManifestType } from './media-types.ts'
import { rankPlatform } from './platform-match.ts'
import type { Descriptor, Platform } from './types.ts'

const MAX_DEPTH = 4
/** Documents that are read for one choice, at most: a stranger wrote the index. */
const MAX_DOCUMENTS = 32

export interface SelectedImage {
  readonly manifest: ParsedManifest
  /** What the indexes offered on the way. */
  readonly offered: readonly Platform[]
}

interface Candidate {
  readonly entry: Descriptor
  readonly rank: number
}

/**
 * Finds the image for a platform in a document of unknown kind, through indexes in indexes: the very platform first, then
 * older variants that run on it; of equals the first listed. An entry that names no platform is that of its config, and
 * is taken unseen where it stands alone. Yields what is to be read; the caller hands the bytes back.
 * @throws OCI_MANIFEST_INVALID for indexes that are nested too deeply, or name too much
 */
export function* selectImage(
  top: { readonly bytes: Uint8Array; readonly mediaType: string | undefined },
  platform: Platform,
): Generator<
  Descriptor,
  SelectedImage | { readonly manifest: undefined; readonly offered: readonly Platform[] },
  Uint8Array
> {
  if (!looksLikeIndex(top.bytes, top.mediaType))
    return { manifest: parseManifest(top.bytes, top.mediaType), offered: [] }
  const state: State = { platform, offered: [], seen: new Set(), documents: 0 }
  const best = yield* search(state, top.bytes, top.mediaType, 0)
  if (best === undefined) return { manifest: undefined, offered: state.offered }
  return { manifest: parseManifest(yield best.entry, best.entry.mediaType), offered: state.offered }
}

interface State {
  readonly platform: Platform
  readonly offered: Platform[]
  readonly seen: Set<Digest>
  documents: number
}

function* search(
  state: State,
  bytes: Uint8Array,
  mediaType: string | undefined,
  depth: number,
): Generator<Descriptor, Candidate | undefined, Uint8Array> {
  if (depth >= MAX_DEPTH) throw invalid(`indexes are nested more than ${MAX_DEPTH} deep`)
  const entries = parseIndex(bytes, mediaType).index.manifests
  let best: Candidate | undefined
  const offer = (candidate: Candidate | undefined): void => {
    if (candidate !== undefined && (best === undefined || candidate.rank < best.rank)) best = candidate
  }
  for (const entry of entries) {
    if (entry.platform === undefined || isIndexType(entry.mediaType)) continue
    state.offered.push(entry.platform)
    const rank = rankEntry(entry.platform, state.platform)
    if (rank !== undefined) offer({ entry, rank })
  }
  if (best?.rank === 0) return best
  for (const entry of entries) {
    const isWanted = entry.platform === undefined || rankEntry(entry.platform, state.platform) !== undefined
    if (!isIndexType(entry.mediaType) || !isWanted) continue
    const inner = yield* read(state, entry)
    if (inner !== undefined) offer(yield* search(state, inner, entry.mediaType, depth + 1))
  }
  return best ?? (yield* ofUnnamed(state, entries))
}

/** An entry that wants features of the OS which nobody has asked for (layers that are EROFS images) is for others. */
function rankEntry(offered: Platform, wanted: Platform): number | undefined {
  const known = wanted['os.features'] ?? []
  const hasAll = offered.os === 'windows' || (offered['os.features'] ?? []).every((feature) => known.includes(feature))
  return hasAll ? rankPlatform(offered, wanted) : undefined
}

/** Entries without a platform. */
function* ofUnnamed(
  state: State,
  entries: readonly Descriptor[],
): Generator<Descriptor, Candidate | undefined, Uint8Array> {
  const unnamed = entries.filter((entry) => entry.platform === undefined && isManifestType(entry.mediaType))
  if (entries.length === 1 && unnamed.length === 1) return { entry: unnamed[0]!, rank: 0 }
  for (const entry of unnamed) {
    const bytes = yield* read(state, entry)
    if (bytes === undefined) continue
    const { config } = parseManifest(bytes, entry.mediaType).manifest
    // What belongs to an image (a signature, a chart) stands beside it.
    if (!isConfigType(config.mediaType)) continue
    const configBytes = yield* read(state, config)
    if (configBytes === undefined) continue
    const offered = parseImageConfig(configBytes)
    state.offered.push({ os: offered.os, architecture: offered.architecture })
    const rank = rankPlatform(offered, state.platform)
    if (rank !== undefined) return { entry, rank }
  }
  return undefined
}

/** Undefined for what was read before: an index that leads back to itself gives nothing new. */
function* read(state: State, entry: Descriptor): Generator<Descriptor, Uint8Array | undefined, Uint8Array> {
  if (state.seen.has(entry.digest)) return undefined
  state.seen.add(entry.digest)
  if (++state.documents > MAX_DOCUMENTS) throw invalid(`more than ${MAX_DOCUMENTS} documents would have to be read`)
  return yield entry
}

/** Answers from bytes at hand. */
export function runSelection<Result>(
  selection: Generator<Descriptor, Result, Uint8Array>,
  read: (descriptor: Descriptor) => Uint8Array,
): Result {
  let step = selection.next()
  while (step.done !== true) step = selection.next(read(step.value))
  return step.value
}

/** Answers from bytes that come. */
export async function awaitSelection<Result>(
  selection: Generator<Descriptor, Result, Uint8Array>,
  read: (descriptor: Descriptor) => Promise<Uint8Array>,
): Promise<Result> {
  let step = selection.next()
  while (step.done !== true) step = selection.next(await read(step.value))
  return step.value
}

function invalid(what: string): BuilderError {
  return new BuilderError('OCI_MANIFEST_INVALID', `invalid image index: ${what}`)
}
