import { withRoom } from '../../base/disk-errors.ts'
import type { Writable } from 'node:stream'
import { internalStep } from '../../build/internal-step.ts'
import type { CommonOptions, RegistryOptions } from '../../build/public-types.ts'
import { sessionOf } from '../../build/session.ts'
import { createLayerFetcher } from '../../build/transfers.ts'
import { createJobRunner } from '../../disk/job-runner.ts'
import { prepareOutputs } from '../../exporters/index.ts'
import { createLayerProvider } from '../../exporters/layer-provider.ts'
import type { ExportImage } from '../../exporters/types.ts'
import { createLayerForms } from '../../layers/layer-forms.ts'
import { normalizePlatform } from '../../oci/platform.ts'
import { findImage, readImage } from '../images.ts'

export interface ExportOptions extends CommonOptions, RegistryOptions {
  /** File; default: `stdout`. */
  readonly output?: string | undefined
  readonly stdout?: Writable | undefined
  /** Of which image, where a name leads to several: `linux/arm64`; default: this machine's, else the first. */
  readonly platform?: string | undefined
}

/** See `api/export-files.ts`, which loads this when it is called. */
export async function exportFiles(image: string, options: ExportOptions = {}): Promise<void> {
  const sink = options.onProgress ?? (() => undefined)
  await using session = await sessionOf(options)
  const { store, executor, signal } = session
  const { stored, config } = readImage(store, findImage(store, image), options.platform)
  const [output] = await prepareOutputs([{ type: 'tar', dest: options.output ?? '-' }], {
    names: [],
    workingDirectory: process.cwd(),
    isTerminal: false,
  })
  const jobs = createJobRunner({ executor, signal })
  const forms = createLayerForms({ store, jobs, executor, fetcher: createLayerFetcher(session, sink), signal })
  for (const id of stored.layerIds) store.lease(id)
  const layers = stored.layerIds.map((id) => forms.load(id))
  const platform = normalizePlatform(config)
  const { config: container = {}, history = [], ...rest } = config
  const source: ExportImage = {
    image: {
      edge: undefined,
      platform,
      config: { ...rest, config: container },
      history,
      baseHistoryLength: history.length,
      warnings: [],
    },
    layers: createLayerProvider({ store, forms, layers, base: undefined }),
    view: () => forms.view(layers),
    async *readFile(entry, stop) {
      const { readEntry } = await import('../../layers/read-entry.ts')
      yield* readEntry(forms, jobs, entry, stop)
    },
  }
  await internalStep(sink, `exporting the files of ${image}`, (report) =>
    withRoom(store.root, () =>
      output!.run(
        { images: [source] },
        {
          store,
          signal,
          stdout: options.stdout ?? process.stdout,
          now: () => Date.now(),
          report: (part) => report(part.id, part.id, part),
          pushImage: async () => undefined,
        },
      ),
    ),
  )
}
