import { runAll } from '../base/run-all.ts'
import type { ProgressSink } from '../base/progress.ts'
import { prepareOutputs } from '../exporters/index.ts'
import { createLayerProvider } from '../exporters/layer-provider.ts'
import type { ExportImage, ExportResult, PreparedExport } from '../exporters/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerHandle } from '../layers/types.ts'
import type { Composition } from './composition.ts'
import { internalStep } from './internal-step.ts'
import type { CheckedOptions } from './options.ts'
import type { BuildOptions, OutputSpec } from './public-types.ts'
import { pushWith } from './transfers.ts'

/**
 * Reads the attributes of all outputs.
 * @param isEpochPending a Dockerfile that was not read yet may still set the time
 * @throws OCI_OPTION_INVALID, OCI_OPTION_UNSUPPORTED naming output and attribute
 */
export function prepareExports(
  options: BuildOptions,
  checked: CheckedOptions,
  sourceDateEpoch: number | undefined,
  isEpochPending = false,
): Promise<readonly PreparedExport[]> {
  return prepareOutputs(outputsOf(options), {
    names: checked.names,
    platforms: checked.platforms,
    sourceDateEpoch,
    isEpochPending,
    annotations: options.annotations ?? {},
    workingDirectory: process.cwd(),
    isTerminal: process.stdout.isTTY ?? false,
  })
}

function outputsOf(options: BuildOptions): readonly OutputSpec[] {
  const outputs = options.outputs ?? []
  if (options.push) {
    const pushed = outputs.map((output) => (output.type === 'image' ? { ...output, push: true } : output))
    // Beside outputs that send nothing it is one more, as buildx has it.
    const isSent = outputs.some(({ type }) => type === 'image' || type === 'registry')
    return isSent ? pushed : [...pushed, { type: 'image', push: true }]
  }
  return outputs.length === 0 ? [{ type: 'image' }] : outputs
}

/** Writes all outputs at once. */
export async function runExports(
  { session, forms, jobs }: Composition,
  outputs: readonly PreparedExport[],
  images: readonly LoweredImage[],
  layers: readonly (readonly LayerHandle[])[],
  inlineCaches: readonly (string | undefined)[],
  sink: ProgressSink,
): Promise<readonly ExportResult[]> {
  const { store } = session
  const source = {
    images: images.map((image, index): ExportImage => ({
      image,
      layers: createLayerProvider({ store, forms, layers: layers[index]!, base: image.base }),
      ...(inlineCaches[index] === undefined ? {} : { inlineCache: inlineCaches[index] }),
      view: () => forms.view(layers[index]!),
      async *readFile(entry, signal) {
        const { readEntry } = await import('../layers/read-entry.ts')
        yield* readEntry(forms, jobs, entry, signal)
      },
    })),
  }
  const works = outputs.map(
    (output) => (signal: AbortSignal) =>
      internalStep(sink, output.name, (reportStatus) =>
        output.run(source, {
          store,
          signal,
          stdout: process.stdout,
          now: () => Date.now(),
          report: (part) => reportStatus(part.id, part.id, part),
          pushImage: pushWith(session, reportStatus),
        }),
      ),
  )
  return runAll(works, session.signal)
}
