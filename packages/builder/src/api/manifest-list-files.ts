import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Session } from '../build/session-types.ts'
import { digestHex, digestOf } from '../oci/digest.ts'
import type { Descriptor } from '../oci/types.ts'

/** An image of a list. */
export interface ListEntry {
  /** With tag and registry. */
  readonly reference: string
  /** With the platform that was found or said. */
  readonly descriptor: Descriptor
}

/** A list that is made here. */
export interface ManifestList {
  readonly name: string
  readonly entries: readonly ListEntry[]
}

/** The file of a list, by its canonical name. */
export function pathOf({ store }: Session, name: string): string {
  return join(store.root, 'manifests', `${digestHex(digestOf(name))}.json`)
}

/** Undefined where there is none. */
export function readList(session: Session, name: string): ManifestList | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(session, name), 'utf8')) as ManifestList
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Reads a list, and writes it, while nobody else does: of two that add to it at once neither is lost. */
export async function changeList({ store, signal }: Session, name: string, change: () => void): Promise<void> {
  await using _ = await store.locks.acquire(`manifest-list-${digestHex(digestOf(name))}`, { signal })
  change()
}

/** Whole or not at all. */
export function writeList(session: Session, list: ManifestList): void {
  const path = pathOf(session, list.name)
  mkdirSync(join(session.store.root, 'manifests'), { recursive: true, mode: 0o700 })
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(list), { mode: 0o600 })
  renameSync(`${path}.${process.pid}`, path)
}
