import { createHash } from 'node:crypto'
import { runAll } from '../../../base/run-all.ts'
import { readAttributes } from '../../../exporters/attributes.ts'
import type { Digest } from '../../../oci/digest.ts'
import { annotatedConfig, MAX_ANNOTATED_BYTES, readAnnotatedConfig } from '../annotated.ts'
import { readExportAttributes } from '../attributes.ts'
import { cacheFailed } from '../failed.ts'
import { createCacheHttp, type CacheHttp } from '../http.ts'
import { leftOutLine } from '../manifest.ts'
import { writeLayers } from '../objects.ts'
import type {
  CacheBackend,
  CacheExportContext,
  CacheSpec,
  CacheToWrite,
  ImportedCache,
  PreparedCacheExport,
  PreparedImport,
} from '../types.ts'
import { listKeys } from './listing.ts'
import { findMutable, saveMutable } from './mutable-entry.ts'
import { createGhaService } from './service.ts'
import { readGhaSettings, type GhaSettings } from './settings.ts'
import { readScopes, type CacheScope } from './token.ts'
import type { GhaService } from './types.ts'

/** `type=gha`: the cache of GitHub Actions, as BuildKit has it: an entry for each layer, and one for each branch and scope. */
export const backend: CacheBackend = { prepareImport, prepareExport }

const BLOB_KEY = 'buildkit-blob-1-'
const TRIES = 20
/** The service may ask for a pause of a minute; after two a build is quicker without. */
const MAX_LOAD_MS = 120_000
/** The service counts requests: BuildKit writes one layer after the other. */
const PARALLEL = 2

function prepareImport({ attrs }: CacheSpec): PreparedImport {
  const attributes = readAttributes('gha', attrs, 'cache')
  const settings = readGhaSettings(attributes)
  attributes.end()
  const scheme = `cache+gha://${settings.service?.url.host ?? ''}/${settings.scope}#`
  let opened: OpenCache | undefined
  const open = (): OpenCache => (opened ??= openCache(settings))
  return {
    name: `importing cache manifest from gha:${settings.scope}`,
    patienceMs: Math.min(settings.timeoutMs, MAX_LOAD_MS),
    load: async ({ signal }) => {
      const cache = open()
      const readable = cache.scopes.filter(({ mayRead }) => mayRead)
      const loaded = await runAll(
        readable.map((one) => (shared) => load(cache, one, scheme, shared)),
        signal,
      )
      // Of cache mounts those of the first cache are taken.
      return loaded.flat().toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
    },
    blobs: {
      scheme,
      open: async function* (_reference, { digest, size }, signal) {
        const { service, http } = open()
        const entry = await service.find(blobKey(digest), signal)
        if (entry?.key !== blobKey(digest)) throw cacheFailed('the GitHub Actions cache has removed the entry')
        yield* http.read({ url: entry.url, headers: (own = {}) => own, signal }, size)
      },
    },
  }
}

interface OpenCache {
  readonly settings: GhaSettings
  readonly http: CacheHttp
  readonly service: GhaService
  readonly scopes: readonly CacheScope[]
}

/** @throws OCI_CACHE_FAILED without a job of GitHub around */
function openCache(settings: GhaSettings): OpenCache {
  const { service, timeoutMs } = settings
  if (service === undefined)
    throw cacheFailed('this is no job of GitHub Actions: there is no token or no address of its cache', {
      hint: 'steps with run: do not see ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL: an action has to pass them on',
    })
  const http = createCacheHttp({ place: 'the GitHub Actions cache', tries: TRIES, timeoutMs })
  return { settings, http, service: createGhaService(service, http), scopes: readScopes(service.token, Date.now()) }
}

/** What one branch wrote. What a job may write itself ranks behind what it may only read: the branches that it stands on. */
async function load(
  { settings, http, service, scopes }: OpenCache,
  scope: CacheScope,
  reference: string,
  signal: AbortSignal,
): Promise<readonly ImportedCache[]> {
  const entry = await findMutable(service, indexKey(settings, scope.name), signal)
  if (entry === undefined) return []
  // The service looks in the job's own branch first, where its owner may have written under any key.
  if (entry.scope !== undefined && entry.scope !== scope.name) return []
  const request = { method: 'GET', url: entry.url, headers: () => ({}), signal, maxBytes: MAX_ANNOTATED_BYTES } as const
  const { status, bytes } = await http.ask(request)
  if (status === 404) return []
  if (status !== 200) throw cacheFailed(`the GitHub Actions cache answered ${status} to the index of ${scope.name}`)
  const isOwn = scope.mayWrite && scopes.some((other) => other.mayRead && !other.mayWrite)
  return [{ ...readAnnotatedConfig(bytes, reference), rank: isOwn ? 1 : 0 }]
}

function prepareExport({ attrs }: CacheSpec): PreparedCacheExport {
  const attributes = readAttributes('gha', attrs, 'cache')
  const settings = readGhaSettings(attributes)
  const common = readExportAttributes(attributes, 'gha')
  attributes.end()
  return {
    ...common,
    // As buildx: the same command line is good outside of GitHub, too. There it is a warning.
    ignoresErrors: common.ignoresErrors || settings.service === undefined,
    name: 'exporting to GitHub Actions Cache',
    write: (cache, context) => write(openCache(settings), cache, context),
  }
}

async function write(cache: OpenCache, toWrite: CacheToWrite, context: CacheExportContext): Promise<void> {
  const { settings, service, scopes } = cache
  const own = scopes.findLast(({ mayWrite }) => mayWrite)
  if (own === undefined)
    throw cacheFailed('the token of this job may read the GitHub Actions cache, and not write it', {
      hint: 'so it is for pull requests from forks; ignore-error=true builds all the same',
    })
  const { signal, report } = context
  const { bytes, leftOut } = annotatedConfig(toWrite)
  const line = leftOutLine(leftOut, toWrite.config.records.length)
  if (line !== undefined) report(line, { isDone: true })
  const isThere = await createPresence(cache, context)
  await writeLayers(toWrite, context, PARALLEL, async ({ descriptor: { digest, size }, open }, shared) => {
    if (await isThere(digest, shared)) return false
    // False: somebody else has just written the same.
    return service.save(blobKey(digest), { size, open }, shared)
  })
  await saveMutable(service, indexKey(settings, own.name), bytes, { signal })
}

type Presence = (digest: Digest, signal: AbortSignal) => Promise<boolean>

/** A list of all, where REST may be asked; else a question for each. */
async function createPresence(
  { settings, http, service, scopes }: OpenCache,
  { signal, report }: CacheExportContext,
): Promise<Presence> {
  const ask: Presence = async (digest, shared) => (await service.find(blobKey(digest), shared))?.key === blobKey(digest)
  if (settings.listing === undefined) return ask
  const names = scopes.map(({ name }) => name)
  try {
    const keys = await listKeys(settings.listing, http, BLOB_KEY, names, signal)
    return async (digest) => keys.has(blobKey(digest))
  } catch (error) {
    if (signal.aborted) throw error
    report(
      `each layer is asked for, its list could not be had: ${error instanceof Error ? error.message : String(error)}`,
      { isDone: true },
    )
    return ask
  }
}

function blobKey(digest: Digest): string {
  return `${BLOB_KEY}${digest}`
}

function indexKey({ scope }: GhaSettings, branch: string): string {
  return `index-${scope}-1-${createHash('sha256').update(branch).digest('hex').slice(0, 8)}`
}
