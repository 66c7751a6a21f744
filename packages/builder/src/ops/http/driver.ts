import { toByteString } from '../../base/byte-string.ts'
import { scrubCredentials } from '../../base/errors.ts'
import type { Vertex } from '../../graph/types.ts'
import { digestOf } from '../../oci/digest.ts'
import { makeEntry } from '../../view/entry.ts'
import type { OpsEnvironment } from '../environment.ts'
import type { OpDriver, RunContext } from '../../solver/types.ts'
import type { FetchedFile } from './fetch.ts'
import { fileNameOf, readHttpSpec, type HttpFile } from './spec.ts'

/** What files are fetched with. */
type HttpParts = Pick<OpsEnvironment, 'store' | 'forms' | 'secret' | 'signal' | 'epochMs'>

/**
 * Files of the web. Keyed by their bytes, name, permissions and time, so a moved URL is the same file; with a checksum
 * the server is asked only when somebody needs the bytes.
 */
export function createHttpDriver(environment: HttpParts): OpDriver {
  const files = new Map<Vertex, Promise<FetchedFile>>()

  function fetchOnce(vertex: Vertex, run?: RunContext): Promise<FetchedFile> {
    let file = files.get(vertex)
    if (file === undefined) {
      file = fetchFile(environment, specOf(vertex), run)
      files.set(vertex, file)
    }
    return file
  }

  return {
    recordType: 'regular',
    handles: (vertex) => vertex.op.kind === 'source' && /^https?:\/\//.test(vertex.op.identifier),
    cacheMap: async (vertex) => {
      const file = specOf(vertex)
      const { digest, filename, modifiedSec } = pinnedFile(file) ?? (await fetchOnce(vertex))
      const { mode, uid, gid, authHeaderSecret, headers } = file
      return {
        payload: undefined,
        selectors: [],
        identity: `http:${JSON.stringify([digest, filename, mode, uid, gid, modifiedSec ?? null, authHeaderSecret ?? null, headers])}`,
      }
    },
    sharedKeys: async (vertex) => {
      const file = specOf(vertex)
      const { digest, filename, modifiedSec } = pinnedFile(file) ?? (await fetchOnce(vertex))
      const { goJson } = await import('../../oci/go-json.ts')
      const json = goJson({
        Filename: filename,
        Perm: file.statedMode,
        UID: file.uid,
        GID: file.gid,
        Checksum: digest,
        LastModTime: modifiedSec === undefined ? undefined : new Date(modifiedSec * 1000).toUTCString(),
        AuthHeaderSecret: file.authHeaderSecret || undefined,
        Header: file.headers.length === 0 ? undefined : file.headers.map(([Name, Value]) => ({ Name, Value })),
      })
      return [digestOf(json)]
    },
    inputUse: () => [],
    run: async (vertex, _inputs, run) => {
      const { mode, uid, gid } = specOf(vertex)
      const { digest, filename, sizeBytes, modifiedSec } = await fetchOnce(vertex, run)
      const entry = makeEntry({
        path: toByteString(filename),
        type: 'file',
        mode,
        uid,
        gid,
        size: sizeBytes,
        mtimeSec: modifiedSec ?? 0,
        content: sizeBytes === 0 ? undefined : { kind: 'range', file: environment.store.blobs.path(digest), offset: 0 },
        contentDigest: digest,
      })
      return [
        {
          kind: 'layers',
          layers: [
            environment.forms.fromSelection([entry], {
              createdMs: environment.epochMs ?? Date.now(),
              description: vertex.metadata.name,
            }),
          ],
        },
      ]
    },
  }
}

function specOf(vertex: Vertex): HttpFile {
  if (vertex.op.kind !== 'source') throw new Error('not a source')
  return readHttpSpec(vertex.op)
}

/** With a checksum all of the key is known without a request (BuildKit: the name and the checksum, no time). */
function pinnedFile(file: HttpFile): Omit<FetchedFile, 'sizeBytes'> | undefined {
  if (file.checksum === undefined) return undefined
  return { digest: file.checksum, filename: fileNameOf(file.url, file.filename, undefined), modifiedSec: undefined }
}

/** What speaks HTTP is loaded by the first file: a build without any does not pay for it. */
async function fetchFile(environment: HttpParts, file: HttpFile, run: RunContext | undefined): Promise<FetchedFile> {
  const [{ createFileClient }, { fetchHttpFile }] = await Promise.all([import('./request.ts'), import('./fetch.ts')])
  const client = createFileClient()
  const startedMs = Date.now()
  const shown = scrubCredentials(file.url)
  const report = (current: number, total: number | undefined, completedMs?: number): void => {
    run?.status(shown, `downloading ${shown}`, {
      current,
      startedMs,
      ...(total === undefined ? {} : { total }),
      ...(completedMs === undefined ? {} : { completedMs }),
    })
  }
  try {
    const fetched = await fetchHttpFile(file, {
      store: environment.store,
      client,
      secret: environment.secret,
      signal: run?.signal ?? environment.signal,
      onBytes: report,
    })
    report(fetched.sizeBytes, fetched.sizeBytes, Date.now())
    return fetched
  } finally {
    await client.close()
  }
}
