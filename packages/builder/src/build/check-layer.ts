import { createReadStream } from 'node:fs'
import { isTsOciError } from '../base/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { LayerRecord, Store } from '../store/types.ts'
import { decompress, detectFileCompression } from '../tar/decompress.ts'
import { createLayerScanner } from '../tar/scan.ts'
import type { LayerEntry, LayerTable } from '../view/types.ts'
import { checkTree } from './check-tree.ts'

/** What is wrong with one form of a layer. */
export interface FormProblem {
  readonly form: 'tar' | 'blob' | 'table' | 'tree'
  /** Of a blob or tar its digest, of a tree its directory. */
  readonly name: string
  readonly problem: string
}

/**
 * Every form of a layer against the others: files against the sizes of the row, the table against the tar or blob, read anew, and
 * trees against that.
 * @param isBad whether the file of a digest was found to have other bytes
 */
export async function checkLayer(
  store: Store,
  layer: LayerRecord,
  isBad: (digest: string) => boolean,
  signal: AbortSignal,
): Promise<readonly FormProblem[]> {
  const problems: FormProblem[] = []
  const fileProblem = (digest: string, sizeBytes: number | undefined): string | undefined => {
    const found = store.blobs.size(digest as Digest)
    if (found === undefined) return 'is missing'
    if (isBad(digest)) return 'has another digest'
    return sizeBytes !== undefined && found !== sizeBytes ? `has ${found} bytes, not ${sizeBytes}` : undefined
  }
  const sources: string[] = []
  if (layer.hasTar) {
    const problem = layer.diffId === undefined ? 'has no name' : fileProblem(layer.diffId, layer.tarSizeBytes)
    if (problem === undefined) sources.push(layer.diffId!)
    else problems.push({ form: 'tar', name: layer.diffId ?? layer.id, problem })
  }
  for (const { descriptor } of layer.blobs) {
    const problem = fileProblem(descriptor.digest, descriptor.size)
    if (problem === undefined) sources.push(descriptor.digest)
    else problems.push({ form: 'blob', name: descriptor.digest, problem })
  }
  const [source] = sources
  const read = source === undefined ? undefined : await readLayer(store, source, signal)
  if (typeof read === 'string')
    problems.push({ form: source === layer.diffId ? 'tar' : 'blob', name: source!, problem: read })
  const truth = typeof read === 'string' ? undefined : read
  const table = layer.hasTable ? tableOf(store, layer.id) : undefined
  if (typeof table === 'string') problems.push({ form: 'table', name: layer.id, problem: table })
  else if (table !== undefined && truth !== undefined) {
    const problem = difference(table, truth)
    if (problem !== undefined) problems.push({ form: 'table', name: layer.id, problem })
  }
  const known = truth ?? (typeof table === 'string' ? undefined : table)
  for (const tree of layer.trees ?? []) {
    if (store.isOutOfSight(tree)) continue
    const directory = store.snapshotDirectory(layer.id, tree)
    const problem = known === undefined ? undefined : checkTree(directory, known)
    if (problem !== undefined) problems.push({ form: 'tree', name: directory, problem })
  }
  return problems
}

/** The table that the bytes give, with digests of files; what is wrong with them, where they give none. */
async function readLayer(store: Store, digest: string, signal: AbortSignal): Promise<LayerTable | string> {
  const path = store.blobs.path(digest as Digest)
  const scanner = createLayerScanner({ hashFiles: true })
  try {
    for await (const chunk of decompress(createReadStream(path), detectFileCompression(path))) {
      signal.throwIfAborted()
      scanner.push(chunk)
    }
    return scanner.finish()
  } catch (error) {
    if (isTsOciError(error)) return error.message
    throw error
  }
}

function tableOf(store: Store, id: string): LayerTable | string {
  try {
    return store.layers.readTable(id) ?? 'is missing'
  } catch (error) {
    return isTsOciError(error) ? error.message : 'cannot be read'
  }
}

/** Of what both know: entries that only views have are the table's alone. */
function difference(table: LayerTable, truth: LayerTable): string | undefined {
  const wanted = new Map(
    truth.entries.map((entry) => [`${entry.type === 'opaque' ? 'opaque ' : ''}${entry.path}`, entry]),
  )
  for (const entry of table.entries) {
    if (entry.isTimeOnly === true || entry.sameFileAs !== undefined) continue
    const key = `${entry.type === 'opaque' ? 'opaque ' : ''}${entry.path}`
    const other = wanted.get(key)
    if (other === undefined) return `names ${JSON.stringify(entry.path)}, which the layer lacks`
    if (!isSame(entry, other)) return `is wrong about ${JSON.stringify(entry.path)}`
    wanted.delete(key)
  }
  const [missing] = wanted.keys()
  return missing === undefined ? undefined : `lacks ${JSON.stringify(missing)}`
}

function isSame(a: LayerEntry, b: LayerEntry): boolean {
  if (a.type !== b.type) return false
  if (a.type === 'whiteout' || a.type === 'opaque') return true
  if (a.type === 'hardlink') return a.link === b.link
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    (a.type !== 'file' || a.size === b.size) &&
    (a.type !== 'symlink' || a.link === b.link)
  )
}
