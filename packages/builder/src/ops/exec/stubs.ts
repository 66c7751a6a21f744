import { lstatSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { toByteString, type ByteString } from '../../base/byte-string.ts'
import { localPath } from '@ts-oci/runtime'
import type { JobRunner } from '../../disk/job-runner.ts'
import { makeEntry } from '../../view/entry.ts'
import { comparePaths } from '../../view/paths.ts'
import type { LayerEntry, View } from '../../view/types.ts'

/** What runc makes in a root that lacks it, and leaves there. */
const LEFT_BEHIND = ['dev', 'proc', 'sys']
const OVER_MOUNTED = ['/etc/resolv.conf', '/etc/hosts']

/**
 * Our mounts leave no trace in what a step wrote. BuildKit's do, and images are to be the same: `/dev`, `/proc` and
 * `/sys` appear in a root that lacks them, and the directory above a mount point that had to be made has been touched
 * (executor/stubs.go takes the mount point away again, and gives its parent the time of its making).
 */
export async function makeLeftBehind(view: View, upper: string, jobs: JobRunner): Promise<void> {
  for (const name of LEFT_BEHIND) {
    if (view.lookup(name, { followLast: true }) !== undefined) continue
    const path = join(upper, name)
    removeDangling(localPath(path))
    await jobs.run('makeDirectory', { path, mode: 0o755, uid: 0, gid: 0 }, true)
  }
}

/** A link to nothing, which the root of a plain directory has there. */
function removeDangling(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(path)
}

/** Directories that a mount point is made in, because the root lacks it: byte-string paths. */
export function touchedDirectories(view: View, mountTargets: readonly string[]): ReadonlySet<ByteString> {
  const touched = new Set<ByteString>()
  for (const target of [...OVER_MOUNTED, ...mountTargets]) {
    let path = view.resolve(toByteString(target).replace(/^\/+/, ''), { followLast: true })
    if (view.entry(path) !== undefined) continue
    while (path !== '' && view.entry(path) === undefined) path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))
    if (path !== '') touched.add(path)
  }
  return touched
}

/** The entries of a layer with the times of touched directories; where nothing below changed, views alone see them. */
export function withTouchedTimes(
  entries: readonly LayerEntry[],
  touched: ReadonlySet<ByteString>,
  view: View,
  startedMs: number,
): readonly LayerEntry[] {
  if (touched.size === 0) return entries
  const time = { mtimeSec: Math.floor(startedMs / 1000), mtimeNsec: 0 }
  const listed = new Set(entries.map(({ path }) => path))
  const others = [...touched].flatMap((path) => {
    const entry = listed.has(path) ? undefined : view.entry(path)
    return entry?.type === 'directory' ? [makeEntry({ ...entry, ...time, isTimeOnly: true })] : []
  })
  const timed = entries.map((entry) =>
    entry.type === 'directory' && touched.has(entry.path) && entry.mtimeSec < time.mtimeSec
      ? { ...entry, ...time }
      : entry,
  )
  return others.length === 0 ? timed : [...timed, ...others].sort((a, b) => comparePaths(a.path, b.path))
}
