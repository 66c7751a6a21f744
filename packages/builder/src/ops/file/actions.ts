import { fromByteString, toByteString, type ByteString } from '../../base/byte-string.ts'
import { BuilderError } from '../../base/errors.ts'
import { makeEntry } from '../../view/entry.ts'
import { baseName, cleanPath, joinPath, parentPath } from '../../view/paths.ts'
import type { View, ViewEntry } from '../../view/types.ts'
import { expandWildcard, hasWildcard } from '../../view/wildcard.ts'
import type {
  FileAction,
  FileActionCopy,
  FileActionMkdir,
  FileActionMkfile,
  FileActionRm,
  FileActionSymlink,
} from '../../graph/op-specs.ts'
import type { FileOpContext } from './context.ts'
import { copyOptions, copySource, sourceNotFound } from './copy.ts'
import { resolveOwner } from './owner.ts'
import { missingPath } from './required-paths.ts'
import { failed, refuseNul, type FileTarget, type Ids, type Time } from '../../view/file-target.ts'

/** Runs one action on its target. */
export async function runAction(
  action: FileAction,
  target: FileTarget,
  viewOf: (input: number) => View,
  context: FileOpContext,
): Promise<void> {
  const owner = 'owner' in action.action ? await resolveOwner(action.action.owner, viewOf, context.readFile) : undefined
  switch (action.action.kind) {
    case 'copy':
      return copy(action.action, target, viewOf(action.secondaryInput), owner, context)
    case 'mkfile':
      return makeFile(action.action, target, owner)
    case 'mkdir':
      return makeDirectory(action.action, target, owner)
    case 'symlink':
      return makeSymlink(action.action, target, owner)
    case 'rm':
      return remove(action.action, target)
  }
}

async function copy(
  action: FileActionCopy,
  target: FileTarget,
  view: View,
  owner: Ids | undefined,
  context: FileOpContext,
): Promise<void> {
  const destination = toByteString(action.dest)
  const time = toTime(action.timestamp)
  if (!action.createDestPath) requireParent(target, action.dest)
  requirePaths(action, view)
  const source = toByteString(action.src)
  refuseNul(cleanPath(source))
  const sources = action.allowWildcard && hasWildcard(source) ? expandSource(view, source) : [source]
  if (sources.length === 0 && !action.allowEmptyWildcard)
    throw new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', `${action.src} not found`)
  const options = copyOptions(action, owner, time, context.signal)
  for (const path of sources) {
    if (action.attemptUnpackDockerCompatibility) {
      const entry = view.lookup(path)
      if (entry === undefined) throw sourceNotFound(path)
      const [readable] = entry.type === 'file' ? ((await context.resolveContents?.([entry])) ?? [entry]) : [entry]
      const unpackOptions = { owner, time, temporaryDirectory: context.temporaryDirectory, signal: context.signal }
      const { unpackArchive } = await import('./unpack.ts')
      if (await unpackArchive(readable as ViewEntry, target, target.resolve(cleanPath(destination)), unpackOptions))
        continue
    }
    copySource(view, path, target, destination, options)
  }
}

function requireParent(target: FileTarget, destination: string): void {
  const parent = parentPath(target.resolve(cleanPath(toByteString(destination))))
  if (target.entry(parent) === undefined)
    throw new BuilderError('OCI_FILE_OP_FAILED', `failed to stat ${destination}: no such file or directory`)
}

/** What stands before the first wildcard must exist; that the rest matches nothing is the action's business. */
function expandSource(view: View, source: ByteString): readonly ByteString[] {
  const parts = cleanPath(source).split('/')
  const fixed = parts
    .slice(
      0,
      parts.findIndex((part) => hasWildcard(part)),
    )
    .join('/')
  if (fixed !== '' && view.lookup(fixed) === undefined) {
    throw new BuilderError('OCI_COPY_SOURCE_NOT_FOUND', `lstat /${fromByteString(fixed)}: no such file or directory`, {
      details: { path: source },
    })
  }
  return expandWildcard(view, source)
}

function requirePaths(action: FileActionCopy, view: View): void {
  const path = missingPath(action, view)
  if (path === undefined) return
  throw new BuilderError(
    'OCI_COPY_SOURCE_NOT_FOUND',
    `"/${fromByteString(cleanPath(toByteString(path)))}": not found`,
    { details: { path } },
  )
}

/** Opens as a shell's `>` does: an existing file keeps mode and owner unless the action names one. */
function makeFile(action: FileActionMkfile, target: FileTarget, owner: Ids | undefined): void {
  const path = target.resolve(toByteString(action.path))
  const standing = target.entry(path)
  if (path === '' || standing?.type === 'directory') throw failed('open', path, 'is a directory')
  const time = toTime(action.timestamp) ?? target.now
  const { uid, gid } = owner ?? standing ?? target.newOwner(path)
  const entry = makeEntry({
    path,
    type: 'file',
    mode: standing?.mode ?? action.mode & 0o777,
    uid,
    gid,
    size: action.data.length,
    mtimeSec: time.sec,
    mtimeNsec: time.nsec,
    content: action.data.length > 0 ? { kind: 'inline', bytes: action.data } : undefined,
  })
  if (standing === undefined) target.put(entry)
  else target.update(entry)
}

function makeDirectory(action: FileActionMkdir, target: FileTarget, owner: Ids | undefined): void {
  const path = target.resolve(toByteString(action.path))
  const options = { mode: action.mode, owner, time: toTime(action.timestamp) }
  if (action.makeParents) {
    target.makeDirectories(path, options)
    return
  }
  if (target.entry(path) !== undefined) return
  if (target.entry(parentPath(path)) === undefined) throw failed('mkdir', path, 'no such file or directory')
  target.makeDirectories(path, options)
}

function makeSymlink(action: FileActionSymlink, target: FileTarget, owner: Ids | undefined): void {
  const path = target.resolve(toByteString(action.newpath))
  if (target.entry(path) !== undefined)
    throw new BuilderError('OCI_FILE_OP_FAILED', `symlink ${action.oldpath} /${fromByteString(path)}: file exists`)
  const time = toTime(action.timestamp) ?? target.now
  const { uid, gid } = owner ?? target.newOwner(path)
  target.put(
    makeEntry({
      path,
      type: 'symlink',
      mode: 0o777,
      uid,
      gid,
      link: toByteString(action.oldpath),
      mtimeSec: time.sec,
      mtimeNsec: time.nsec,
    }),
  )
}

function remove(action: FileActionRm, target: FileTarget): void {
  const path = toByteString(action.path)
  if (action.allowWildcard && hasWildcard(path)) {
    for (const match of expandWildcard(target.view(), path)) removePath(match, target, action.allowNotFound)
  } else removePath(path, target, action.allowNotFound)
}

function removePath(path: ByteString, target: FileTarget, allowNotFound: boolean): void {
  const clean = cleanPath(path)
  if (clean === '') throw new BuilderError('OCI_FILE_OP_FAILED', 'rmPath: invalid empty path')
  const found = joinPath(target.resolve(parentPath(clean)), baseName(clean))
  if (target.entry(found) === undefined && !allowNotFound) throw failed('stat', found, 'no such file or directory')
  target.remove(found)
}

/** Nanoseconds of an LLB timestamp; −1 is none. */
function toTime(timestamp: number): Time | undefined {
  if (timestamp === -1) return undefined
  const sec = Math.floor(timestamp / 1e9)
  return { sec, nsec: Math.round(timestamp - sec * 1e9) }
}
