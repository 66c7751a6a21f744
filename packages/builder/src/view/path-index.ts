import type { ByteString } from '../base/byte-string.ts'
import { parentPath } from './paths.ts'

/** Which paths stand below which: what a directory holds is found without a look at everything else. */
export interface PathIndex {
  add(path: ByteString): void
  /** Takes out everything below a directory and answers it. */
  takeBelow(directory: ByteString): readonly ByteString[]
}

export function createPathIndex(paths: Iterable<ByteString> = []): PathIndex {
  const children = new Map<ByteString, Set<ByteString>>()

  function add(path: ByteString): void {
    for (let at = path; at !== '';) {
      const parent = parentPath(at)
      const siblings = children.get(parent)
      if (siblings?.has(at) === true) return
      if (siblings === undefined) children.set(parent, new Set([at]))
      else siblings.add(at)
      at = parent
    }
  }

  function takeBelow(directory: ByteString): readonly ByteString[] {
    const taken: ByteString[] = []
    const waiting = [directory]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const found = children.get(at)
      for (const child of found ?? []) {
        taken.push(child)
        waiting.push(child)
      }
      found?.clear()
    }
    return taken
  }

  for (const path of paths) add(path)
  return { add, takeBelow }
}
