import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from '@jest/globals'
import { openStore } from './store.ts'
import type { Store } from './types.ts'

/** A store in a directory of its own, for each test a new one. */
export interface OpenedStore {
  readonly root: string
  readonly store: Store
  /** What the store takes for now. */
  clockMs: number
  /** Another opening of the store, beside this one. */
  open(): Promise<Store>
  /** Closes the store and opens it again, as the next process does. */
  reopen(): Promise<void>
}

export function openedStore(): OpenedStore {
  const opened = {
    root: '',
    store: undefined as unknown as Store,
    clockMs: 0,
    open: () => openStore({ root: opened.root, now: () => opened.clockMs }),
    reopen: async () => {
      await opened.store.close()
      opened.store = await opened.open()
    },
  }
  beforeEach(async () => {
    opened.root = mkdtempSync(join(tmpdir(), 'ts-oci-store-'))
    opened.clockMs = 1_700_000_000_000
    opened.store = await opened.open()
  })
  afterEach(async () => {
    await opened.store.close()
    rmSync(opened.root, { recursive: true, force: true })
  })
  return opened
}
