import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withDirectoryLock } from '../../../exporters/directory-lock.ts'
import { digestHex } from '../../../oci/digest.ts'
import { parseIndex } from '../../../oci/image-index.ts'

/** Removes from a layout the blobs that nothing in its index leads to. */
export async function removeUnnamed(directory: string, signal: AbortSignal): Promise<void> {
  await withDirectoryLock(directory, signal, async () => {
    const blobs = join(directory, 'blobs/sha256')
    const kept = new Set<string>()
    const keep = (digest: string): void => {
      const hex = digestHex(digest as Parameters<typeof digestHex>[0])
      if (kept.has(hex)) return
      kept.add(hex)
      for (const named of namedBy(join(blobs, hex))) keep(named)
    }
    for (const { digest } of parseIndex(readFileSync(join(directory, 'index.json'))).index.manifests) keep(digest)
    for (const name of readdirSync(blobs)) if (/^[0-9a-f]{64}$/.test(name) && !kept.has(name)) rmSync(join(blobs, name))
  })
}

/** What a manifest or an index names; a layer names nothing. */
function namedBy(path: string): readonly string[] {
  const bytes = readFileSync(path)
  if (bytes[0] !== 0x7b || bytes.length > 4 << 20) return []
  try {
    const { config, layers, manifests } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    return [config, layers, manifests].flat().flatMap((one) => {
      const digest = (one as { readonly digest?: unknown } | undefined)?.digest
      return typeof digest === 'string' ? [digest] : []
    })
  } catch {
    return []
  }
}
