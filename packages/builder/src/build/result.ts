import { resolve } from 'node:path'
import type { ProgressSink, VertexEvent } from '../base/progress.ts'
import type { ExportResult, PreparedExport } from '../exporters/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerForms, LayerHandle } from '../layers/types.ts'
import type { VertexState } from '../solver/reporter.ts'
import type { CheckedOptions } from './options.ts'
import type { BuildMetadata, BuildResult, InternalStepReport, OutputType, VertexReport } from './public-types.ts'

/** What a build has come to. */
export interface BuiltImage {
  readonly checked: CheckedOptions
  readonly image: LoweredImage
  readonly layers: readonly LayerHandle[]
  readonly forms: LayerForms
  readonly outputs: readonly PreparedExport[]
  readonly exported: readonly ExportResult[]
  readonly states: readonly VertexState[]
}

/** The result of a build, but for what was measured around it. */
export function reportOf(built: BuiltImage): Omit<BuildResult, 'internalSteps' | 'traffic'> {
  const { checked, image, outputs, exported, states } = built
  return {
    digest: exported.find((result) => result.digest !== undefined)?.digest,
    configDigest: exported.find((result) => result.configDigest !== undefined)?.configDigest,
    layers: layersOfResult(built),
    outputs: exported.map((result, index) => ({
      type: outputs[index]!.type as OutputType,
      ...(result.dest === undefined ? {} : { dest: resolve(result.dest) }),
      ...(result.names.length === 0 ? {} : { names: result.names }),
      ...(result.digest === undefined ? {} : { digest: result.digest }),
    })),
    vertices: states.map(reportVertex),
    warnings: image.warnings,
    metadata: metadataOf(checked, exported),
  }
}

function layersOfResult({ image, layers, forms }: BuiltImage): BuildResult['layers'] {
  const createdBy = image.history.filter((entry) => !entry.empty_layer).map((entry) => entry.created_by ?? '')
  return layers.flatMap((layer, index) => {
    const record = forms.record(layer)
    if (record?.diffId === undefined) return []
    const sizeBytes = record.tarSizeBytes ?? record.remote?.descriptor.size ?? 0
    return [{ diffId: record.diffId, sizeBytes, createdBy: createdBy[index] ?? layer.description }]
  })
}

function reportVertex(state: VertexState): VertexReport {
  const { vertex, startedMs = 0, completedMs = startedMs, missReason } = state
  return {
    digest: vertex.digest,
    name: vertex.metadata.name,
    status: state.canceled ? 'canceled' : state.error !== undefined ? 'failed' : state.cached ? 'cached' : 'ran',
    inputs: vertex.inputs.map((edge) => edge.vertex.digest),
    startedMs,
    durationMs: completedMs - startedMs,
    ...(missReason === undefined ? {} : { missReason }),
  }
}

function metadataOf(checked: CheckedOptions, exported: readonly ExportResult[]): BuildMetadata {
  const withImage = exported.find((result) => result.descriptor !== undefined)
  // An output may name the image itself: type=registry,name=NAME.
  const names = new Set([...checked.names, ...exported.flatMap((result) => result.names)])
  const configDigest = exported.find((result) => result.configDigest !== undefined)?.configDigest
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
