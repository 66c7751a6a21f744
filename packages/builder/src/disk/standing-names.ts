import type { ByteString } from '../base/byte-string.ts'
import { parentPath } from '../view/paths.ts'
import type { LayerEntry } from '../view/types.ts'

/** A name that a tree has by now. */
export interface StandingName {
  readonly kind: 'directory' | 'symlink' | 'other'
  /** Of a directory: what lists it; undefined when nothing does. */
  entry: LayerEntry | undefined
}

/** What stands in a tree while it is written: told from what was written, so that nobody has to ask the disk. */
export interface StandingNames {
  /** '' is the tree itself. */
  find(path: ByteString): StandingName | undefined
  /** Its directory stands. */
  add(path: ByteString, kind: StandingName['kind'], entry?: LayerEntry): void
  /** With all that is below it. */
  remove(path: ByteString): void
  /** Every directory but the root, those that lie below one before it. */
  directoriesUpwards(): readonly (readonly [ByteString, StandingName])[]
}

interface Name extends StandingName {
  readonly below: Map<ByteString, Name> | undefined
}

export function createStandingNames(): StandingNames {
  const root: Name = { kind: 'directory', entry: undefined, below: new Map() }
  /** Names come by directory: the last one is found without a walk. */
  let lastPath: ByteString = ''
  let last = root

  function directory(path: ByteString): Name | undefined {
    if (path === lastPath) return last
    let at: Name | undefined = root
    for (let start = 0; path !== '' && at !== undefined && start <= path.length;) {
      const slash = path.indexOf('/', start)
      const end = slash < 0 ? path.length : slash
      at = at.below?.get(path.slice(start, end))
      start = end + 1
    }
    if (at?.below !== undefined) {
      lastPath = path
      last = at
    }
    return at
  }

  function find(path: ByteString): Name | undefined {
    if (path === '') return root
    return directory(parentPath(path))?.below?.get(path.slice(path.lastIndexOf('/') + 1))
  }

  return {
    find,
    add(path, kind, entry) {
      const name = { kind, entry, below: kind === 'directory' ? new Map<ByteString, Name>() : undefined }
      directory(parentPath(path))!.below!.set(path.slice(path.lastIndexOf('/') + 1), name)
    },
    remove(path) {
      directory(parentPath(path))?.below?.delete(path.slice(path.lastIndexOf('/') + 1))
      lastPath = ''
      last = root
    },
    directoriesUpwards() {
      const found: [ByteString, Name][] = []
      const waiting: [ByteString, Name][] = [['', root]]
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [path, { below }] = next
        if (path !== '') found.push(next)
        for (const [name, child] of below!)
          if (child.below !== undefined) waiting.push([path === '' ? name : `${path}/${name}`, child])
      }
      return found.toReversed()
    },
  }
}
