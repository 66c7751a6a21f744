import { noRoomError } from '../base/disk-errors.ts'
import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import { withCodeFrame } from '../base/locate-error.ts'
import { compose, type Composition } from '../build/composition.ts'
import { checkOptions, type CheckedOptions } from '../build/options.ts'
import { prepareExports, runExports } from '../build/outputs.ts'
import { garbagePolicy, tidyUp } from '../build/garbage.ts'
import type { PreparedCacheExport } from '../cache/backends/types.ts'
import { importCaches, prepareCaches } from '../build/cache-options.ts'
import type { LoweredImage } from '../image/lowered.ts'
import type { LayerHandle } from '../layers/types.ts'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'
import { collectInternalSteps, reportOf } from '../build/result.ts'
import { sessionOf } from '../build/session.ts'
import { solveImages, type KeptLayers } from '../build/solve.ts'
import type { PreparedExport } from '../exporters/types.ts'

/**
 * Builds an image from a Dockerfile or a fluent state.
 * @throws errors of every part, each with a stable code; nothing half-written stays behind.
 * @example
 * const result = await build({ context: '.', tags: ['my-app'] })
 * console.log(result.configDigest)
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const checked = checkOptions(options)
  // Every attribute is checked before anything is built.
  await prepareExports(options, checked, checked.sourceDateEpoch, true)
  const policy = garbagePolicy(options.gc, process.env)
  const { imports, exports } = await prepareCaches(options)
  const internal = collectInternalSteps(options.onProgress)
  await using session = await sessionOf(options)
  let composition: Composition | undefined
  try {
    const { sink } = internal
    const caches = await importCaches(session, imports, sink)
    const result = await (async () => {
      await using composed = await compose({ session, options, checked, sink, purpose: 'build', caches })
      composition = composed
      return await buildWith(composed, options, checked, exports, sink)
    })()
    await tidyUp(session.store, policy, options.onProgress)
    return { ...result, internalSteps: internal.stepsBeside(result.vertices) }
  } catch (error) {
    const { signal, store } = session
    if (!signal.aborted) throw withCodeFrame(noRoomError(store.root, error), composition?.text)
    throw signal.reason instanceof BuilderError
      ? signal.reason
      : new BuilderError('OCI_CANCELED', 'the build was canceled', { cause: error })
  }
}

async function buildWith(
  composition: Composition,
  options: BuildOptions,
  checked: CheckedOptions,
  cacheExports: readonly PreparedCacheExport[],
  sink: ProgressSink,
): Promise<Omit<BuildResult, 'internalSteps'>> {
  const { session, forms, solver } = composition
  const images = await composition.lower()
  const outputs = await prepareExports(options, checked, images[0]?.sourceDateEpoch ?? checked.sourceDateEpoch)
  composition.compressEarly(outputs.some((output) => output.wantsGzip === true))
  const layers = await solveImages(images, {
    solver,
    forms,
    store: session.store,
    keepsCacheMounts: options.keepCacheMounts === true,
    ignoresCarried: composition.caches?.mounts?.ignore,
    keeps: keptFor(outputs.map(({ reads }) => reads)),
    needsCached: outputs.some(({ type, reads }) => type !== 'cacheonly' && reads !== 'pushed-blobs'),
  })
  const built = images.flatMap(({ edge }, index) => (edge === undefined ? [] : [{ edge, layers: layers[index]! }]))
  const inline = await inlineCaches(composition, images, layers, cacheExports, sink)
  const exported = await runExports(composition, outputs, images, layers, inline, sink)
  if (cacheExports.length > 0) {
    const { exportCaches } = await import('../build/cache-export.ts')
    await exportCaches(composition, cacheExports, built, sink)
  }
  solver.finish()
  const states = solver.reporter.states()
  return {
    ...reportOf({ checked, images, layers, forms, outputs, exported, states }),
    traffic: { ...session.traffic },
  }
}

/** What is to be in the store of the layers of the result. */
function keptFor(reads: readonly PreparedExport['reads'][]): KeptLayers {
  if (reads.some((what) => what !== 'files' && what !== 'nothing')) return 'tar'
  return reads.includes('nothing') ? 'any' : 'none'
}

/** Of each image, where one is asked for. */
async function inlineCaches(
  composition: Composition,
  images: readonly LoweredImage[],
  layers: readonly (readonly LayerHandle[])[],
  exports: readonly PreparedCacheExport[],
  sink: ProgressSink,
): Promise<readonly (string | undefined)[]> {
  if (!exports.some(({ isInline }) => isInline === true)) return images.map(() => undefined)
  const { inlineCacheOf } = await import('../build/cache-export.ts')
  return Promise.all(
    images.map(async ({ edge }, index) =>
      edge === undefined ? undefined : inlineCacheOf(composition, { edge, layers: layers[index]! }, sink),
    ),
  )
}
