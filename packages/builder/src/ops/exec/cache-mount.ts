import { existsSync } from 'node:fs'
import { layersOf } from '../merge/driver.ts'
import { toByteString } from '../../byte-string.ts'
import type { LayerEntry, View } from '../../layer/types.ts'
import type { OpsEnvironment } from '../environment.ts'
import type { ExecMount } from '../specs.ts'
import type { Result } from '../types.ts'

/**
 * The directory of a cache mount. Made on first use: empty, or with what `from` and `source` name. Its mode and owner
 * are those of that source, else 0755 and root, as BuildKit's.
 */
export async function prepareCacheMount(environment: OpsEnvironment, id: string, initial: Result | undefined, mount: ExecMount): Promise<string> {
  const path = environment.store.cacheMountDirectory(id)
  if (existsSync(path)) return path
  await using lock = await environment.store.locks.acquire(`cache-mount-make-${id}`)
  if (lock && existsSync(path)) return path
  const { forms, jobs } = environment
  const view = initial === undefined ? undefined : initial.kind === 'local' ? initial.view : await forms.view(layersOf(initial))
  const executor = await environment.executor()
  const owners = executor.idMapping.kind === 'single' ? 'drop' : 'keep'
  if (view === undefined) {
    await jobs.run('makeDirectory', { path, mode: 0o755, uid: 0, gid: 0 }, true)
    return path
  }
  const source = view.lookup(trim(toByteString(mount.selector)), { followLast: true })
  await jobs.run('makeDirectory', { path, mode: source?.mode ?? 0o755, uid: owners === 'keep' ? (source?.uid ?? 0) : 0, gid: owners === 'keep' ? (source?.gid ?? 0) : 0 }, true)
  const entries = await forms.resolveContents(source?.type === 'directory' ? below(view, source.path) : [])
  await jobs.run('materialize', { entries, destination: path, xattrs: executor.overlayXattr, owners }, true)
  return path
}

/** Entries below a directory, as if it were the root. */
function below(view: View, directory: string): LayerEntry[] {
  const cut = directory === '' ? 0 : directory.length + 1
  return [...view.walk(directory)].map((entry) => ({ ...entry, path: entry.path.slice(cut) }))
}

function trim(path: string): string {
  return path.split('/').filter((part) => part !== '').join('/')
}
