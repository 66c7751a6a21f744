import { rootDescriptor } from '../layout-index.ts'
import { BuilderError } from '../../base/errors.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Digest } from '../../oci/digest.ts'
import { imageId } from '../../store/image-id.ts'
import type { ImageRecord, Store, StoredImage } from '../../store/types.ts'
import { readAttributes } from '../attributes.ts'
import {
  compose,
  exportedImages,
  isPlainGzip,
  wantedForm,
  type Composed,
  type ComposedImage,
  type ComposeOptions,
} from '../compose.ts'
import { isIndexed, readImageSettings, type ImageAttributes, type ImageSettings } from '../image-settings.ts'
import type {
  ExportContext,
  ExportDefaults,
  ExportResult,
  Exporter,
  ExportImage,
  ExportSource,
  Flag,
  OutputSpec,
  PreparedExport,
  PushLayer,
} from '../types.ts'

/** Attributes of outputs that the store or a registry gets. */
export interface PushAttributes extends ImageAttributes {
  readonly push?: Flag | undefined
  readonly 'push-by-digest'?: Flag | undefined
  readonly 'registry.insecure'?: Flag | undefined
  /** Whether the store keeps it under its names. */
  readonly store?: Flag | undefined
  /** Without effect: an image of the store needs no unpacking. */
  readonly unpack?: Flag | undefined
}

/** `type=image`: names in the store; `push=true` sends it to the registries of its names. */
export const exporter: Exporter<PushAttributes> = {
  prepare: (output, defaults) => prepareImage(output, defaults, false),
}

interface ImageOutput {
  readonly type: string
  readonly settings: ImageSettings
  readonly isStored: boolean
  readonly isPushed: boolean
  readonly isByDigest: boolean
  readonly isInsecure: boolean
}

/** `isRegistry`: `type=registry`, which pushes unless told otherwise. */
export function prepareImage(output: OutputSpec, defaults: ExportDefaults, isRegistry: boolean): PreparedExport {
  const attributes = readAttributes(output.type, output.attrs)
  const isByDigest = attributes.flag('push-by-digest') ?? false
  const image: ImageOutput = {
    type: output.type,
    isPushed: attributes.flag('push') ?? isRegistry,
    isByDigest,
    isInsecure: attributes.flag('registry.insecure') ?? false,
    isStored: attributes.flag('store') ?? true,
    settings: readImageSettings(output, attributes, defaults),
  }
  // Accepted and without effect: an image of the store needs no unpacking before it is used.
  attributes.flag('unpack')
  attributes.refuse(['dangling-name-prefix', 'danging-name-empty-only', 'name-canonical'])
  attributes.end()
  if (image.isPushed && image.settings.names.length === 0) {
    throw new BuilderError('OCI_OPTION_INVALID', 'tag is needed when pushing to registry', {
      hint: 'add -t NAME, or the attribute name=NAME',
    })
  }
  if (isIndexed(image.settings.compression) && !image.isPushed) {
    const { compression } = image.settings
    const what = `output type=${output.type}: compression=${compression} is for images that leave the store`
    throw new BuilderError('OCI_OPTION_INVALID', what, { hint: 'use type=registry, type=oci, or push=true' })
  }
  return {
    type: output.type,
    name: 'exporting to image',
    reads: image.isPushed ? 'pushed-blobs' : 'stored',
    wantsGzip: image.isPushed && isPlainGzip(image.settings),
    run: (source, context) => run(image, source, context),
  }
}

async function run(output: ImageOutput, source: ExportSource, context: ExportContext): Promise<ExportResult> {
  const stored = output.isStored
    ? await compose(source, context, {
        settings: storedSettings(output),
        defaultCompression: 'stored',
        descriptorOnly: true,
      })
    : undefined
  if (stored !== undefined) await storeImage(output, stored, context)
  const pushed = output.isPushed ? await push(output, source, context) : undefined
  const written = pushed ?? stored
  if (pushed !== undefined && stored !== undefined)
    noteRepositories(context.store, storedNames(output, stored), output, pushed)
  return {
    type: output.type,
    names: output.settings.names,
    ...(written === undefined
      ? {}
      : {
          digest: written.root.digest,
          descriptor: rootDescriptor(written, output.settings),
          images: exportedImages(written),
        }),
  }
}

/** What a registry gets with tables of contents, the store keeps as it is: only who fetches parts reads them. */
function storedSettings({ settings }: ImageOutput): ImageSettings {
  return isIndexed(settings.compression)
    ? { ...settings, compression: undefined, level: undefined, force: false }
    : settings
}

function idOf(composed: Composed): Digest {
  const images = composed.images.map(({ manifest, config }) => ({
    manifestDigest: manifest.digest,
    configDigest: config.digest,
  }))
  return imageId({ digest: composed.root.digest, images })
}

function storedNames(output: ImageOutput, composed: Composed): readonly string[] {
  return output.settings.names.length === 0 ? [`<none>@${idOf(composed)}`] : output.settings.names
}

/** A build that changed nothing writes nothing: the names are looked at first. */
async function storeImage(output: ImageOutput, composed: Composed, context: ExportContext): Promise<void> {
  const { store } = context
  const names = storedNames(output, composed).filter((name) => !isUpToDate(store, name, composed))
  if (names.length === 0 || (output.settings.names.length === 0 && isListed(store, idOf(composed)))) return
  for (const document of storedDocuments(composed)) {
    store.blobs.put(document.bytes)
    // What is pushed has compressed layers, so another manifest: its digest is the one that people want to read.
    if (document.kind === 'config' || !output.isPushed)
      context.report({ id: `exporting ${document.kind} ${document.digest}`, isDone: true })
  }
  // Everything that the rows will name is on the disk first.
  store.sync()
  store.transaction(() => {
    for (const name of names) store.images.put(recordOf(name, composed, store))
  })
  for (const name of output.settings.names) context.report({ id: `naming to ${name}`, isDone: true })
}

/** Under whatever name. An index that it stands in is another image, and may go without it. */
function isListed(store: Store, id: Digest): boolean {
  const found = store.images.find(id)
  return found !== undefined && imageId(found) === id
}

interface StoredDocument {
  readonly kind: 'config' | 'manifest' | 'manifest list'
  readonly digest: Digest
  readonly bytes: Uint8Array
}

function storedDocuments({ images, index, root }: Composed): readonly StoredDocument[] {
  return [
    ...images.flatMap((image): readonly StoredDocument[] => [
      { kind: 'config', digest: image.config.digest, bytes: image.configBytes },
      { kind: 'manifest', digest: image.manifest.digest, bytes: image.manifestBytes },
    ]),
    ...(index === undefined ? [] : [{ kind: 'manifest list', digest: root.digest, bytes: index } as const]),
  ]
}

function isUpToDate(store: Store, name: string, { images, root }: Composed): boolean {
  const known = store.images.get(name)
  return (
    known?.digest === root.digest &&
    store.blobs.has(root.digest) &&
    images.every(
      ({ manifest, config }, index) =>
        known.images[index]?.configDigest === config.digest && store.blobs.has(manifest.digest),
    )
  )
}

function recordOf(name: string, { images, root }: Composed, store: Store): ImageRecord {
  const [first, ...more] = images
  return {
    name,
    digest: root.digest,
    images: [storedImage(first, store), ...more.map((image) => storedImage(image, store))],
    createdMs: first.createdMs,
    origin: 'built',
    repoDigests: [],
  }
}

function storedImage({ source, layers, manifest, config }: ComposedImage, store: Store): StoredImage {
  const layerIds = layers.map((layer, index) => rowOf(layer.diffId, source.layers.layer(index).id, store))
  const sizes = layers.map(
    (layer, index) => store.layers.get(layerIds[index] ?? '')?.tarSizeBytes ?? layer.descriptor.size,
  )
  return {
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    layerIds,
    sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
    isComplete: layers.every((layer) => layer.isLocal),
  }
}

/** A layer whose times were rewritten is another layer than the one that was built. */
function rowOf(diffId: ComposedImage['layers'][number]['diffId'], id: string, store: Store): string {
  const row = store.layers.get(id)
  return row === undefined || row.diffId === diffId ? id : (store.layers.findByDiffId(diffId)?.id ?? id)
}

async function push(output: ImageOutput, source: ExportSource, context: ExportContext): Promise<Composed> {
  const options: ComposeOptions = { settings: output.settings, defaultCompression: 'gzip' }
  const composed = await compose(source, context, { ...options, descriptorOnly: true })
  const images = composed.images.map((image) => ({
    manifest: { bytes: image.manifestBytes, descriptor: image.manifest },
    config: { bytes: image.configBytes, descriptor: image.config },
    layers: image.layers.map((layer, index): PushLayer => ({
      descriptor: layer.descriptor,
      repositories: layer.repositories,
      open: (signal) => openLayer(image.source, index, options, signal),
    })),
  }))
  for (const name of output.isByDigest ? onePerRepository(output.settings.names) : output.settings.names) {
    await context.pushImage({
      reference: name,
      byDigest: output.isByDigest,
      isInsecure: output.isInsecure,
      root: { bytes: composed.index ?? composed.images[0].manifestBytes, descriptor: composed.root },
      images,
      signal: context.signal,
    })
  }
  return composed
}

function onePerRepository(names: readonly string[]): readonly string[] {
  return [...new Map(names.map((name) => [repositoryOf(parseReference(name)), name])).values()]
}

/** The registry lacks it: now the bytes are needed, and a base is fetched. */
async function* openLayer(
  source: ExportImage,
  index: number,
  options: ComposeOptions,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const { descriptor } = await source.layers.provide(index, wantedForm(options), signal)
  yield* source.layers.open(descriptor.digest, signal)
}

/** `docker images --digests` and a later pull by digest know where it was pushed to. */
function noteRepositories(store: Store, names: readonly string[], output: ImageOutput, pushed: Composed): void {
  const digests = output.settings.names.map((name) => `${repositoryOf(parseReference(name))}@${pushed.root.digest}`)
  store.transaction(() => {
    for (const name of names) {
      store.images.update(name, (record) => {
        // Another build may have taken the name meanwhile: its image was not pushed.
        if (!isOf(record, pushed)) return undefined
        const repoDigests = [...new Set([...record.repoDigests, ...digests])]
        return repoDigests.length > record.repoDigests.length ? { ...record, repoDigests } : undefined
      })
    }
  })
}

/** The same images, in whatever form. */
function isOf({ images }: ImageRecord, pushed: Composed): boolean {
  return (
    images.length === pushed.images.length &&
    images.every(({ configDigest }, index) => configDigest === pushed.images[index]!.config.digest)
  )
}
