import { BuilderError } from '../../base/errors.ts'
import type { CacheLayerToWrite, CacheSpec } from '../../cache/backends/types.ts'
import { prepareCacheExports, prepareImports } from '../../cache/backends/prepare.ts'
import { createChains } from '../../cache/buildkit/chains.ts'
import { createCacheImports } from '../../build/cache-exchange.ts'
import { cacheWriteContext } from '../../build/cache-export.ts'
import { warn } from '../../build/cache-messages.ts'
import { addMounts, createMountPacker, type WantedMount } from '../../build/cache-mounts-export.ts'
import type { MountImports } from '../../build/cache-mounts-import.ts'
import { specOf } from '../../build/cache-options.ts'
import { internalStep } from '../../build/internal-step.ts'
import type { CacheMountOptions, CacheOption, CarriedCacheMount } from '../../build/public-types.ts'
import type { Session } from '../../build/session-types.ts'
import { sessionOf } from '../../build/session.ts'
import { createJobRunner } from '../../disk/job-runner.ts'
import type { Digest } from '../../oci/digest.ts'
import { bringCacheMount } from '../../ops/exec/cache-mount.ts'
import { layerFormsOf } from '../layer-forms.ts'

/** See `api/cache-mounts.ts`, which loads this when it is called. */
export async function listCarriedMounts(
  from: CacheOption,
  options: CacheMountOptions,
): Promise<readonly CarriedCacheMount[]> {
  await using session = await sessionOf(options)
  const found = await (await importsOf(session, from, options)).list()
  return [...found.values()].map(({ mount }) => ({
    id: mount.id,
    sizeBytes: mount.tarBytes,
    packedBytes: mount.blob.size,
    usedMs: mount.usedMs,
  }))
}

export async function exportCacheMounts(
  ids: readonly string[],
  to: CacheOption,
  options: CacheMountOptions,
): Promise<readonly string[]> {
  await using session = await sessionOf(options)
  const { store, signal } = session
  const sink = options.onProgress ?? (() => undefined)
  const [one] = await prepareCacheExports([withMounts(to)])
  const rows = store.cacheMounts().filter(({ id }) => ids.length === 0 || ids.includes(id))
  const missing = ids.find((id) => !rows.some((row) => row.id === id))
  if (missing !== undefined) throw noMount(missing)
  if ((await session.executor()).idMapping.kind === 'shifted')
    throw new BuilderError(
      'OCI_OPTION_UNSUPPORTED',
      'the cache mounts of steps with shifted ids are exported by builds alone',
      {
        hint: 'tsbuild --cache-to type=…,mounts=true',
      },
    )
  // A private copy is nobody else's, nor is what never leaves the store, unless it is asked for: then that is said.
  const wanted = rows.flatMap((row): WantedMount[] =>
    ids.length === 0 && (row.isKept || /#\d+$/.test(row.id)) ? [] : [{ carriedId: row.id, row, carried: undefined }],
  )
  await using packer = createMountPacker(session, createJobRunner({ executor: session.executor, signal }))
  return await internalStep(sink, one!.name, async (report) => {
    const blobs = new Map<Digest, CacheLayerToWrite>()
    const chains = createChains()
    const mounts = await packer.pack(wanted, one!.mounts!, (message) => warn(sink, message))
    addMounts(chains, blobs, mounts)
    if (mounts.length === 0) throw new BuilderError('OCI_EXPORT_FAILED', 'there is no cache mount to export')
    await one!.write!({ config: chains.config(), layers: blobs }, cacheWriteContext(session, report))
    return mounts.map(({ mount }) => mount.id)
  })
}

export async function importCacheMounts(
  ids: readonly string[],
  from: CacheOption,
  options: CacheMountOptions,
): Promise<readonly string[]> {
  await using session = await sessionOf(options)
  const { store, signal, executor } = session
  const imports = await importsOf(session, from, options)
  const found = await imports.list()
  const missing = ids.find((id) => !found.has(id))
  if (missing !== undefined) throw noMount(missing)
  const jobs = createJobRunner({ executor, signal })
  const forms = layerFormsOf(session, options.onProgress ?? (() => undefined))
  const here = new Set(store.cacheMounts().map(({ id }) => id))
  const brought: string[] = []
  for (const id of ids.length === 0 ? found.keys() : ids) {
    const carried = here.has(id) ? undefined : await imports.find(id)
    if (carried === undefined) continue
    const path = store.cacheMountDirectory(id, false)
    const isThere = await store.locks.hold('cache-mount-make', [{ name: id }], { signal }, () =>
      bringCacheMount({ store, forms, jobs, executor }, path, carried, signal),
    )
    if (isThere) brought.push(id)
  }
  return brought
}

async function importsOf(session: Session, from: CacheOption, options: CacheMountOptions): Promise<MountImports> {
  const imports = await prepareImports([withMounts(from)])
  const caches = await createCacheImports(session, imports, options.onProgress ?? (() => undefined))
  return caches.mounts!
}

function withMounts(option: CacheOption): CacheSpec {
  return specOf({ ...option, mounts: 'true' })
}

function noMount(id: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `there is no cache mount ${JSON.stringify(id)}`, {
    hint: 'tsbuild cache mounts ls names them',
  })
}
