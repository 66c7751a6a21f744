import { createReadStream } from 'node:fs'
import { BuilderError } from '../../base/errors.ts'
import { importChanges } from '../../build/import-changes.ts'
import { internalStep } from '../../build/internal-step.ts'
import { platformOption } from '../../build/platform-option.ts'
import type { CommonOptions } from '../../build/public-types.ts'
import { sessionOf } from '../../build/session.ts'
import type { Session } from '../../build/session-types.ts'
import { toStored } from '../../layers/stored-table.ts'
import { describe } from '../../oci/descriptor.ts'
import type { Digest, DiffID } from '../../oci/digest.ts'
import { formatTime, goJson } from '../../oci/go-json.ts'
import { serializeImageConfig } from '../../oci/image-config.ts'
import { serializeManifest } from '../../oci/manifest.ts'
import { MediaType } from '../../oci/media-types.ts'
import { hostPlatform } from '../../oci/platform.ts'
import { canonicalName } from '../../oci/reference.ts'
import type { ContainerConfig, Platform } from '../../oci/types.ts'
import type { Store } from '../../store/types.ts'
import { inflated } from '../../tar/inflated.ts'
import { createLayerScanner } from '../../tar/scan.ts'

export interface ImportOptions extends CommonOptions {
  /** Name of the image; default: none, it is known by its id. */
  readonly name?: string | undefined
  /** Instructions of a Dockerfile that say how a container of it runs. */
  readonly changes?: readonly string[] | undefined
  /** What its history says; default: where it came from, in Docker's words. */
  readonly message?: string | undefined
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string | undefined
  /** Bytes of a tar that is called `-`. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined
  /** Seconds of the Unix epoch; default: now. */
  readonly sourceDateEpoch?: number | undefined
}

export interface ImportOutcome {
  /** Of the config. */
  readonly id: Digest
  /** Of the manifest. */
  readonly digest: Digest
}

/** See `api/import-image.ts`, which loads this when it is called. */
export async function importImage(source: string, options: ImportOptions = {}): Promise<ImportOutcome> {
  const platform = options.platform === undefined ? hostPlatform() : platformOption(options.platform)
  const name = options.name === undefined ? undefined : importName(options.name)
  const config = await importChanges(options.changes ?? [], platform)
  await using session = await sessionOf(options)
  return await internalStep(options.onProgress ?? (() => undefined), `importing ${source}`, async () => {
    const { store } = session
    const layer = await storeLayer(session, source, options)
    const created = formatTime(options.sourceDateEpoch === undefined ? Date.now() : options.sourceDateEpoch * 1000)
    // The command line of Docker reads a file itself, and the daemon is told `-`.
    const comment = options.message ?? `Imported from ${isUrl(source) ? source : '-'}`
    const configBytes = configOf({ platform, config, created, comment, diffId: layer.diffId })
    return putImage(store, { layer, configBytes, createdMs: Date.parse(created), name })
  })
}

/** @throws OCI_REFERENCE_INVALID */
function importName(name: string): string {
  const canonical = canonicalName(name)
  if (!canonical.includes('@')) return canonical
  throw new BuilderError('OCI_REFERENCE_INVALID', 'cannot import digest reference', { hint: 'name it NAME:TAG' })
}

function isUrl(source: string): boolean {
  return /^https?:\/\//.test(source)
}

/** Tars are padded to a multiple of their record: of 10 kB, with `tar -b` of some MB. */
const MAX_TRAILING_BYTES = 64 * 1024 * 1024

interface ImportedLayer {
  readonly id: string
  readonly diffId: DiffID
  readonly sizeBytes: number
}

/** The plain tar goes into the store, and its table is made while it passes. */
async function storeLayer({ store, signal }: Session, source: string, options: ImportOptions): Promise<ImportedLayer> {
  const writer = store.blobs.createWriter()
  const scanner = createLayerScanner()
  const name = source === '-' ? 'standard input' : source
  let trailingBytes = 0
  try {
    for await (const chunk of inflated(await openSource(source, options, signal), name)) {
      signal.throwIfAborted()
      if (scanner.isFinished && (trailingBytes += chunk.length) > MAX_TRAILING_BYTES) throw trailing(name)
      scanner.push(chunk)
      const written = writer.write(chunk)
      if (written !== undefined) await written
    }
    const { entries } = scanner.finish()
    const { digest, sizeBytes } = await writer.commit()
    const diffId = digest as string as DiffID
    const id = store.layers.findByDiffId(diffId)?.id ?? diffId
    store.lease(id)
    const known = store.layers.get(id)
    store.layers.writeTable(id, toStored(entries))
    store.layers.put({
      id,
      diffId,
      tarSizeBytes: sizeBytes,
      createdMs: known?.createdMs ?? Date.now(),
      description: known?.description ?? 'imported',
      blobs: [],
      hasTar: true,
      hasTable: true,
    })
    return { id, diffId, sizeBytes }
  } catch (error) {
    await writer.abort()
    throw error
  }
}

/** Without it a few MB of gzip, or a server that does not end, would fill the disk with what no reader looks at. */
function trailing(name: string): BuilderError {
  return new BuilderError(
    'OCI_ARCHIVE_INVALID',
    `${name} goes on for more than ${MAX_TRAILING_BYTES} bytes behind the end of its tar`,
    { hint: 'what follows two blocks of zeros is no part of a tar: cut it off' },
  )
}

async function openSource(
  source: string,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  if (source === '-') return options.stdin ?? process.stdin
  if (!isUrl(source)) return fileSource(source)
  const { createFileClient } = await import('../../ops/http/request.ts')
  const client = createFileClient()
  const response = await client.send({ method: 'GET', url: source, headers: {}, signal })
  if (response.status === 200) return closing(response.body, () => client.close())
  await response.discard()
  await client.close()
  throw new BuilderError('OCI_SOURCE_FAILED', `${source}: the server answers ${response.status}`)
}

async function* fileSource(path: string): AsyncIterable<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20 })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'no such file or directory' : code === 'EISDIR' ? 'is a directory' : code
    throw new BuilderError('OCI_SOURCE_FAILED', `open ${path}: ${reason}`, { cause })
  }
}

async function* closing(body: AsyncIterable<Uint8Array>, close: () => Promise<void>): AsyncIterable<Uint8Array> {
  try {
    yield* body
  } finally {
    await close()
  }
}

/** Members in the order in which Docker writes them. */
function configOf(parts: {
  readonly platform: Platform
  readonly config: ContainerConfig
  readonly created: string
  readonly comment: string
  readonly diffId: DiffID
}): Uint8Array {
  const { platform, config, created, comment, diffId } = parts
  const bytes = serializeImageConfig({
    ...platform,
    config,
    created,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, comment }],
  })
  const members = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>
  const order = ['created', 'architecture', 'os', 'os.version', 'os.features', 'variant', 'rootfs', 'history', 'config']
  return Buffer.from(goJson(Object.fromEntries(order.map((name) => [name, members[name]]))))
}

interface ImportedImage {
  readonly layer: ImportedLayer
  readonly configBytes: Uint8Array
  readonly createdMs: number
  readonly name: string | undefined
}

function putImage(store: Store, { layer, configBytes, createdMs, name }: ImportedImage): ImportOutcome {
  const config = describe(configBytes, MediaType.ociConfig)
  const descriptor = { mediaType: MediaType.ociLayer, digest: layer.diffId as string as Digest, size: layer.sizeBytes }
  const manifest = serializeManifest({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config,
    layers: [descriptor],
  })
  store.blobs.put(configBytes)
  const digest = store.blobs.put(manifest)
  store.sync()
  store.images.put({
    name: name ?? `<none>@${config.digest}`,
    digest,
    images: [
      {
        manifestDigest: digest,
        configDigest: config.digest,
        layerIds: [layer.id],
        sizeBytes: layer.sizeBytes,
        isComplete: true,
      },
    ],
    createdMs,
    origin: 'built',
    repoDigests: [],
  })
  return { id: config.digest, digest }
}
