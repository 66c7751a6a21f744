/** Entries never change, so one that does is the newest of `NAME#1`, `NAME#2`, …; as go-actions-cache has it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheFailed } from '../failed.ts'
import type { GhaEntry, GhaService } from './types.ts'

/** A number that is taken and does not appear belongs to somebody who is about to write it, for so long; then to one who was killed. */
const PATIENCE_MS = 15_000
const PAUSE_MS = 2000
/** So many killed writers in a row are none. */
const MAX_SKIPPED = 100

export async function findMutable(
  service: GhaService,
  name: string,
  signal: AbortSignal,
): Promise<GhaEntry | undefined> {
  const entry = await service.find(`${name}#`, signal)
  // Another may be a longer name that begins so.
  return entry !== undefined && numberOf(entry, name) !== undefined ? entry : undefined
}

/** What was there stays until this is whole. @throws OCI_CACHE_FAILED */
export async function saveMutable(
  service: GhaService,
  name: string,
  bytes: Uint8Array,
  {
    signal,
    patienceMs = PATIENCE_MS,
    pauseMs = PAUSE_MS,
  }: { readonly signal: AbortSignal; readonly patienceMs?: number; readonly pauseMs?: number },
): Promise<void> {
  const content = {
    size: bytes.length,
    open: async function* () {
      yield bytes
    },
  }
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    const newest = await findMutable(service, name, signal)
    const next = (newest === undefined ? 0 : numberOf(newest, name)!) + 1
    const tries = waitedMs < patienceMs ? 1 : MAX_SKIPPED
    for (let number = next; number < next + tries; number++)
      if (await service.save(`${name}#${number}`, content, signal)) return
    if (tries > 1) throw cacheFailed(`the GitHub Actions cache has no free number for ${name}`)
    await sleep(pauseMs, undefined, { signal })
  }
}

function numberOf({ key }: GhaEntry, name: string): number | undefined {
  const rest = key.startsWith(`${name}#`) ? key.slice(name.length + 1) : ''
  return /^\d{1,9}$/.test(rest) ? Number(rest) : undefined
}
