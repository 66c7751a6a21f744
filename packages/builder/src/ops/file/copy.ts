import { fromByteString, type ByteString } from '../../base/byte-string.ts'
import { createIgnoreMatcher, type DirectoryMatches, type IgnoreMatcher } from '../../patterns/ignore.ts'
import { BuilderError } from '../../base/errors.ts'
import { baseName, cleanPath, joinPath, parentPath } from '../../view/paths.ts'
import { newLinkKey } from '../../view/tree.ts'
import type { View, ViewEntry } from '../../view/types.ts'
import type { FileActionCopy } from '../../graph/op-specs.ts'
import { parseModeChange, type ModeChange } from './file-mode.ts'
import type { FileTarget, Ids, Time } from '../../view/file-target.ts'

export interface CopyOptions {
  readonly owner: Ids | undefined
  readonly time: Time | undefined
  readonly mode: ModeChange | undefined
  /** Of directories that the copy has to make above its destination. */
  readonly parentMode: number
  readonly include: IgnoreMatcher | undefined
  readonly exclude: IgnoreMatcher | undefined
  readonly followLast: boolean
  readonly copyContents: boolean
  readonly alwaysReplace: boolean
  readonly signal: AbortSignal | undefined
}

/** Docker's daemon makes directories with this umask, and BuildKit in it does not change their mode afterwards. */
const UMASK = 0o022

/** What an action's fields mean for each of its sources. Throws OCI_COPY_INVALID and OCI_IGNORE_PATTERN. */
export function copyOptions(
  action: FileActionCopy,
  owner: Ids | undefined,
  time: Time | undefined,
  signal: AbortSignal | undefined,
): CopyOptions {
  const octal = action.mode
  const hasOctal = action.modeStr === '' && octal !== -1
  return {
    owner,
    time,
    mode: action.modeStr !== '' ? parseModeChange(action.modeStr) : hasOctal ? () => octal & 0o7777 : undefined,
    parentMode: hasOctal ? octal & 0o777 & ~UMASK : 0o755,
    include: action.includePatterns.length > 0 ? createIgnoreMatcher(action.includePatterns) : undefined,
    exclude: action.excludePatterns.length > 0 ? createIgnoreMatcher(action.excludePatterns) : undefined,
    followLast: action.followSymlink,
    copyContents: action.dirCopyContents,
    alwaysReplace: action.alwaysReplaceExistingDestPaths,
    signal,
  }
}

interface Parent {
  readonly source: ViewEntry
  readonly target: ByteString
  isCopied: boolean
}

/**
 * Copies one source (no wildcards in it) to a destination, with `cp -a`'s idea of both. Paths are inside their roots;
 * a destination that ends in `/` or `/.` is a directory. Throws OCI_COPY_SOURCE_NOT_FOUND, OCI_FILE_OP_FAILED.
 */
export function copySource(
  view: View,
  source: ByteString,
  target: FileTarget,
  destination: ByteString,
  options: CopyOptions,
): void {
  const directoryOptions = { mode: options.parentMode, owner: options.owner, time: options.time }
  const isDirectoryName = /(?:^|\/)\.?$/.test(destination)
  const named = cleanPath(destination)
  const made: ByteString[] = [
    ...target.makeDirectories(target.resolve(isDirectoryName ? named : parentPath(named)), directoryOptions),
  ]

  const resolved = target.resolve(named)
  const sourcePath = view.resolve(source, { followLast: options.followLast })
  const found = view.entry(sourcePath)
  if (found === undefined) throw sourceNotFound(sourcePath)
  // A root directory is in no layer and is not sent with a context: BuildKit's was made just now.
  const entry = found.path === '' ? { ...found, mtimeSec: target.now.sec, mtimeNsec: target.now.nsec } : found

  const standing = target.entry(resolved)
  const goesInside =
    entry.type === 'directory' ? !options.copyContents && standing !== undefined : standing?.type === 'directory'
  const finalPath = goesInside ? joinPath(resolved, baseName(cleanPath(source))) : resolved
  const isNewDirectory = options.copyContents && entry.type === 'directory' && standing === undefined
  made.push(...target.makeDirectories(isNewDirectory ? finalPath : parentPath(finalPath), directoryOptions))

  new Copier(view, target, options).copy({ source: entry, components: '', path: finalPath, isBelow: false })
  // Making what is below them has touched the new directories again.
  if (options.time !== undefined) for (const path of made) setTime(target, path, options.time)
}

/** One entry that is to be copied. */
interface Copied {
  readonly source: ViewEntry
  /** Its path below what the action names. */
  readonly components: ByteString
  /** Where it comes to. */
  readonly path: ByteString
  /** An existing directory takes the source's mode and owner too; the destination itself keeps them. */
  readonly isBelow: boolean
  /** What the patterns made of the directory that it lies in. */
  readonly includeAbove?: DirectoryMatches | undefined
  readonly excludeAbove?: DirectoryMatches | undefined
}

class Copier {
  private readonly view: View
  private readonly target: FileTarget
  private readonly options: CopyOptions
  /** The directories that the walk is in. */
  private readonly parents: Parent[] = []
  private readonly linkKeys = new Map<string, string>()

  constructor(view: View, target: FileTarget, options: CopyOptions) {
    this.view = view
    this.target = target
    this.options = options
  }

  copy(copied: Copied): void {
    const { source, components, path, isBelow, includeAbove, excludeAbove } = copied
    const included = match(this.options.include, components, includeAbove, true)
    const excluded = match(this.options.exclude, components, excludeAbove, false)
    const isIncluded = included.isMatch && !excluded.isMatch
    if (
      !isIncluded &&
      (source.type !== 'directory' ||
        (this.options.include === undefined && this.options.exclude?.hasExceptions !== true))
    )
      return
    if (isIncluded) {
      this.removeIfReplaced(source, path)
      this.copyParents(isBelow)
    }
    if (source.type === 'directory') this.copyDirectory(copied, included, excluded)
    else this.copyFile(source, path)
  }

  private copyDirectory({ source, components, path, isBelow }: Copied, included: Matched, excluded: Matched): void {
    const isIncluded = included.isMatch && !excluded.isMatch
    this.options.signal?.throwIfAborted()
    const standing = this.target.entry(path)
    const wasMade = isIncluded && this.makeDirectory(source, path)
    if (!excluded.isMatch || this.options.exclude?.hasExceptions === true) {
      this.parents.push({ source, target: path, isCopied: isIncluded })
      for (const child of this.view.children(source.path)) {
        const name = baseName(child.path)
        this.copy({
          source: child,
          components: joinPath(components, name),
          path: joinPath(path, name),
          isBelow: true,
          includeAbove: included.matches,
          excludeAbove: excluded.matches,
        })
      }
      this.parents.pop()
    }
    // Last, since every name that was made inside has set the directory's time.
    if (isBelow ? isIncluded : wasMade) this.target.update(this.copiedEntry(source, path))
    else if (!isBelow && standing !== undefined)
      setTime(this.target, path, this.options.time ?? { sec: source.mtimeSec, nsec: source.mtimeNsec })
  }

  private makeDirectory(source: ViewEntry, path: ByteString): boolean {
    const standing = this.target.entry(path)
    if (standing === undefined) {
      this.target.put(this.copiedEntry(source, path))
      return true
    }
    if (standing.type !== 'directory')
      throw new BuilderError('OCI_FILE_OP_FAILED', `cannot copy to non-directory: /${fromByteString(path)}`, {
        details: { path },
      })
    return false
  }

  /** Directories that were not included themselves come along with the first thing below them that is. */
  private copyParents(isBelow: boolean): void {
    for (const parent of this.parents) {
      if (parent.isCopied) continue
      parent.isCopied = true
      const wasMade = this.makeDirectory(parent.source, parent.target)
      // An existing one takes the mode but not the rest.
      if (!wasMade && isBelow) this.target.update({ ...this.target.entry(parent.target)!, mode: parent.source.mode })
    }
  }

  private removeIfReplaced(source: ViewEntry, path: ByteString): void {
    const standing = this.options.alwaysReplace ? this.target.entry(path) : undefined
    if (standing === undefined || (source.type === 'directory' && standing.type === 'directory')) return
    this.target.remove(path)
  }

  private copyFile(source: ViewEntry, path: ByteString): void {
    if (this.target.entry(path)?.type === 'directory')
      throw new BuilderError('OCI_FILE_OP_FAILED', `cannot replace to directory /${fromByteString(path)} with file`, {
        details: { path },
      })
    this.target.put(this.copiedEntry(source, path))
  }

  private copiedEntry(source: ViewEntry, path: ByteString): ViewEntry {
    const mode =
      source.type === 'symlink' || this.options.mode === undefined
        ? source.mode
        : this.options.mode(source.mode, source.type === 'directory')
    // Written out, since spreading 30,000 entries costs as much as all else.
    return {
      path,
      // BuildKit makes character devices of all devices that it copies (its mask for sockets takes a bit of a block device).
      type: source.type === 'block' ? 'character' : source.type,
      mode,
      uid: this.options.owner?.uid ?? source.uid,
      gid: this.options.owner?.gid ?? source.gid,
      size: source.size,
      mtimeSec: this.options.time?.sec ?? source.mtimeSec,
      mtimeNsec: this.options.time?.nsec ?? source.mtimeNsec,
      link: source.link,
      devMajor: source.devMajor,
      devMinor: source.devMinor,
      xattrs: source.xattrs,
      content: source.content,
      contentDigest: source.contentDigest,
      // Only regular files stay one: links, devices and FIFOs are made anew under each name.
      linkKey: source.linkKey === undefined || source.type !== 'file' ? undefined : this.keyOfCopy(source.linkKey),
    }
  }

  /** Names of one file stay together within one copied source, and only there. */
  private keyOfCopy(key: string): string {
    let copied = this.linkKeys.get(key)
    if (copied === undefined) {
      copied = newLinkKey()
      this.linkKeys.set(key, copied)
    }
    return copied
  }
}

/** What patterns make of an entry. */
interface Matched {
  readonly isMatch: boolean
  readonly matches: DirectoryMatches | undefined
}

const IN: Matched = { isMatch: true, matches: undefined }
const OUT: Matched = { isMatch: false, matches: undefined }

/** The source itself (no components) is always in. */
function match(
  matcher: IgnoreMatcher | undefined,
  components: ByteString,
  above: DirectoryMatches | undefined,
  otherwise: boolean,
): Matched {
  if (components === '' || matcher === undefined) return otherwise ? IN : OUT
  const { excluded, matches } = matcher.matchesWithParent(fromByteString(components), above)
  return { isMatch: excluded, matches }
}

function setTime(target: FileTarget, path: ByteString, time: Time): void {
  const entry = target.entry(path)
  if (entry !== undefined) target.update({ ...entry, mtimeSec: time.sec, mtimeNsec: time.nsec })
}

/** In BuildKit's words, for a source that is missed only when it is to be copied: its digest was not asked for by name. */
export function sourceNotFound(source: ByteString): BuilderError {
  return new BuilderError(
    'OCI_COPY_SOURCE_NOT_FOUND',
    `lstat /${fromByteString(cleanPath(source))}: no such file or directory`,
    {
      hint: 'is it in the build context, and not excluded by .dockerignore?',
      details: { path: source },
    },
  )
}
