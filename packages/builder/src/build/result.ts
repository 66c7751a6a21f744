import { resolve } from 'node:path'
import type { ProgressSink, VertexEvent } from '../base/progress.ts'
import type { ExportResult, PreparedExport } from '../exporters/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerHandle, LayerRecords } from '../layers/types.ts'
import { formatPlatform } from '../oci/platform.ts'
import type { VertexState } from '../solver/reporter.ts'
import { warningsOf } from './plan.ts'
import type { CheckedOptions } from './options.ts'
import type {
  BuildMetadata,
  BuildResult,
  BuiltImage,
  InternalStepReport,
  OutputType,
  VertexReport,
} from './public-types.ts'

/** What a build has come to. */
export interface Built {
  readonly checked: CheckedOptions
  /** One a platform. */
  readonly images: readonly LoweredImage[]
  /** Of each image, bottom first. */
  readonly layers: readonly (readonly LayerHandle[])[]
  readonly forms: Pick<LayerRecords, 'record'>
  readonly outputs: readonly PreparedExport[]
  readonly exported: readonly ExportResult[]
  readonly states: readonly VertexState[]
}

/** The result of a build, but for what was measured around it. */
export function reportOf(built: Built): Omit<BuildResult, 'internalSteps' | 'traffic'> {
  const { outputs, exported, states } = built
  const images = built.images.map((image, index) => imageOf(built, image, index))
  const [first] = images
  return {
    digest: exported.find((result) => result.digest !== undefined)?.digest,
    configDigest: first?.configDigest,
    layers: first?.layers ?? [],
    images,
    outputs: exported.map((result, index) => ({
      type: outputs[index]!.type as OutputType,
      ...(result.dest === undefined ? {} : { dest: resolve(result.dest) }),
      ...(result.names.length === 0 ? {} : { names: result.names }),
      ...(result.digest === undefined ? {} : { digest: result.digest }),
    })),
    vertices: states.map(reportVertex),
    warnings: warningsOf(built.images),
    metadata: metadataOf(built, images),
  }
}

function imageOf({ layers, forms, exported }: Built, image: LoweredImage, index: number): BuiltImage {
  const createdBy = image.history.filter((entry) => !entry.empty_layer).map((entry) => entry.created_by ?? '')
  const written = exported.find((result) => result.images !== undefined)?.images?.[index]
  return {
    platform: formatPlatform(image.platform),
    digest: written?.digest,
    configDigest: written?.configDigest,
    layers: layers[index]!.flatMap((layer, layerIndex) => {
      const record = forms.record(layer)
      if (record?.diffId === undefined) return []
      const sizeBytes = record.tarSizeBytes ?? record.remote?.descriptor.size ?? 0
      return [{ diffId: record.diffId, sizeBytes, createdBy: createdBy[layerIndex] ?? layer.description }]
    }),
  }
}

function reportVertex(state: VertexState): VertexReport {
  const { vertex, startedMs = 0, completedMs = startedMs, missReason, cacheOrigin } = state
  return {
    digest: vertex.digest,
    name: vertex.metadata.name,
    status: state.canceled ? 'canceled' : state.error !== undefined ? 'failed' : state.cached ? 'cached' : 'ran',
    inputs: vertex.inputs.map((edge) => edge.vertex.digest),
    startedMs,
    durationMs: completedMs - startedMs,
    ...(cacheOrigin === undefined ? {} : { cacheOrigin }),
    ...(missReason === undefined ? {} : { missReason }),
  }
}

function metadataOf({ exported }: Built, images: readonly BuiltImage[]): BuildMetadata {
  const withImage = exported.find((result) => result.descriptor !== undefined)
  // What was written: an output may name the image itself (type=registry,name=NAME), and files have no name.
  const names = new Set(exported.flatMap((result) => (result.descriptor === undefined ? [] : result.names)))
  // An index has none.
  const configDigest = images.length === 1 ? images[0]!.configDigest : undefined
  return {
    ...(configDigest === undefined ? {} : { 'containerimage.config.digest': configDigest }),
    ...(withImage?.descriptor === undefined
      ? {}
      : { 'containerimage.descriptor': withImage.descriptor, 'containerimage.digest': withImage.descriptor.digest }),
    ...(names.size === 0 ? {} : { 'image.name': [...names].join(',') }),
  }
}

/** Notes what is told of work that is no vertex, and hands everything on. */
export function collectInternalSteps(sink: ProgressSink | undefined): {
  readonly sink: ProgressSink
  stepsBeside(vertices: readonly VertexReport[]): readonly InternalStepReport[]
} {
  const told = new Map<string, VertexEvent>()
  return {
    sink: (event) => {
      if (event.type === 'vertex') told.set(event.id, event)
      sink?.(event)
    },
    stepsBeside: (vertices) => {
      for (const { digest } of vertices) told.delete(digest)
      return [...told.values()].flatMap(({ name, startedMs, completedMs }) =>
        startedMs === undefined || completedMs === undefined
          ? []
          : [{ name, startedMs, durationMs: completedMs - startedMs }],
      )
    },
  }
}
