import { BuilderError } from '../../base/errors.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { ImageRecord, Store } from '../../store/types.ts'
import { readAttributes } from '../attributes.ts'
import { composeImage, isPlainGzip, wantedForm, type ComposeOptions, type ComposedImage } from '../compose.ts'
import { readImageSettings, type ImageAttributes, type ImageSettings } from '../image-settings.ts'
import { exportedImage, soleImage } from '../sole-image.ts'
import type {
  ExportContext,
  ExportDefaults,
  ExportResult,
  ExportImage,
  Exporter,
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
  return {
    type: output.type,
    name: 'exporting to image',
    reads: image.isPushed ? 'pushed-blobs' : 'stored',
    wantsGzip: image.isPushed && isPlainGzip(image.settings),
    run: (source, context) => run(image, soleImage(source), context),
  }
}

async function run(output: ImageOutput, source: ExportImage, context: ExportContext): Promise<ExportResult> {
  const stored = output.isStored
    ? await composeImage(source, context, {
        settings: output.settings,
        defaultCompression: 'stored',
        descriptorOnly: true,
      })
    : undefined
  if (stored !== undefined) await storeImage(output, stored, source, context)
  const pushed = output.isPushed ? await push(output, source, context) : undefined
  const image = pushed ?? stored
  if (pushed !== undefined && stored !== undefined)
    noteRepositories(context.store, storedNames(output, stored), output, pushed)
  return {
    type: output.type,
    names: output.settings.names,
    ...(image === undefined
      ? {}
      : {
          digest: image.manifest.digest,
          descriptor: image.manifest,
          images: [exportedImage(source, image)],
        }),
  }
}

function storedNames(output: ImageOutput, image: ComposedImage): readonly string[] {
  return output.settings.names.length === 0 ? [`<none>@${image.config.digest}`] : output.settings.names
}

/** A build that changed nothing writes nothing: the names are looked at first. */
async function storeImage(
  output: ImageOutput,
  image: ComposedImage,
  source: ExportImage,
  context: ExportContext,
): Promise<void> {
  const { store } = context
  const names = storedNames(output, image).filter((name) => !isUpToDate(store, name, image))
  if (
    names.length === 0 ||
    (output.settings.names.length === 0 && store.images.find(image.config.digest) !== undefined)
  )
    return
  store.blobs.put(image.configBytes)
  context.report({ id: `exporting config ${image.config.digest}`, isDone: true })
  store.blobs.put(image.manifestBytes)
  // What is pushed has compressed layers, so another manifest: its digest is the one that people want to read.
  if (!output.isPushed) context.report({ id: `exporting manifest ${image.manifest.digest}`, isDone: true })
  // Everything that the rows will name is on the disk first.
  store.sync()
  store.transaction(() => {
    for (const name of names) store.images.put(recordOf(name, image, source, store))
  })
  for (const name of output.settings.names) context.report({ id: `naming to ${name}`, isDone: true })
}

function isUpToDate(store: Store, name: string, image: ComposedImage): boolean {
  const known = store.images.get(name)
  return (
    known?.digest === image.manifest.digest &&
    known.images[0].configDigest === image.config.digest &&
    store.blobs.has(image.manifest.digest)
  )
}

function recordOf(name: string, image: ComposedImage, source: ExportImage, store: Store): ImageRecord {
  const layerIds = image.layers.map((layer, index) => rowOf(layer.diffId, source.layers.layer(index).id, store))
  const sizes = image.layers.map(
    (layer, index) => store.layers.get(layerIds[index] ?? '')?.tarSizeBytes ?? layer.descriptor.size,
  )
  return {
    name,
    digest: image.manifest.digest,
    images: [
      {
        manifestDigest: image.manifest.digest,
        configDigest: image.config.digest,
        layerIds,
        sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
        isComplete: image.layers.every((layer) => layer.isLocal),
      },
    ],
    createdMs: image.createdMs,
    origin: 'built',
    repoDigests: [],
  }
}

/** A layer whose times were rewritten is another layer than the one that was built. */
function rowOf(diffId: ComposedImage['layers'][number]['diffId'], id: string, store: Store): string {
  const row = store.layers.get(id)
  return row === undefined || row.diffId === diffId ? id : (store.layers.findByDiffId(diffId)?.id ?? id)
}

async function push(output: ImageOutput, source: ExportImage, context: ExportContext): Promise<ComposedImage> {
  const options: ComposeOptions = { settings: output.settings, defaultCompression: 'gzip' }
  const image = await composeImage(source, context, { ...options, descriptorOnly: true })
  const layers = image.layers.map((layer, index): PushLayer => ({
    descriptor: layer.descriptor,
    repositories: layer.repositories,
    open: (signal) => openLayer(source, index, options, signal),
  }))
  for (const name of output.isByDigest ? onePerRepository(output.settings.names) : output.settings.names) {
    await context.pushImage({
      reference: name,
      byDigest: output.isByDigest,
      isInsecure: output.isInsecure,
      manifest: { bytes: image.manifestBytes, descriptor: image.manifest },
      config: { bytes: image.configBytes, descriptor: image.config },
      layers,
      signal: context.signal,
    })
  }
  return image
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
function noteRepositories(store: Store, names: readonly string[], output: ImageOutput, pushed: ComposedImage): void {
  const digests = output.settings.names.map((name) => `${repositoryOf(parseReference(name))}@${pushed.manifest.digest}`)
  store.transaction(() => {
    for (const name of names) {
      store.images.update(name, (record) => {
        // Another build may have taken the name meanwhile: its image was not pushed.
        if (record.images[0].configDigest !== pushed.config.digest) return undefined
        const repoDigests = [...new Set([...record.repoDigests, ...digests])]
        return repoDigests.length > record.repoDigests.length ? { ...record, repoDigests } : undefined
      })
    }
  })
}
