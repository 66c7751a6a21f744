import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { RuntimeError } from './errors.ts'

/**
 * What the addon exports. Every call answers a number that is not negative, or `-errno`: an exception costs a
 * thousand times more, and most failures are expected ones. Strings are byte strings.
 */
export interface NativeFiles {
  /** Where the calls that read a status leave it: one record of `native/addon/record.h`. */
  setStatRecord(record: ArrayBuffer): void
  openPath(path: string, flags: number, mode: number): number
  openAt(directory: number, name: string, flags: number, mode: number): number
  openResolved(directory: number, path: string, flags: number, mode: number, resolution: number): number
  close(fd: number): number
  statAt(directory: number, name: string): number
  statFd(fd: number): number
  statResolved(directory: number, path: string, flags: number, resolution: number): number
  readlinkAt(directory: number, name: string): string | number
  readDirectory(directory: number, flags: number): PackedOrFailure
  walk(directory: number, flags: number): PackedOrFailure
  mkdirAt(directory: number, name: string, mode: number): number
  symlinkAt(target: string, directory: number, name: string): number
  linkAt(oldDirectory: number, oldName: string, directory: number, name: string): number
  mknodAt(directory: number, name: string, mode: number, major: number, minor: number): number
  unlinkAt(directory: number, name: string, isDirectory: boolean): number
  renameAt(oldDirectory: number, oldName: string, directory: number, name: string, flags: number): number
  chownAt(directory: number, name: string, uid: number, gid: number): number
  chmodAt(directory: number, name: string, mode: number): number
  utimensAt(
    directory: number,
    name: string,
    atimeSec: number,
    atimeNsec: number,
    mtimeSec: number,
    mtimeNsec: number,
  ): number
  removeTree(directory: number, name: string): number | readonly [number, string]
  readFileInto(
    directory: number,
    path: string,
    resolution: number,
    target: Uint8Array,
    offset: number,
    length: number,
  ): number
  copyRange(from: number, fromOffset: number, to: number, toOffset: number, length: number): number
  cloneFile(from: number, to: number): number
  fsync(fd: number): number
  syncfs(fd: number): number
  flock(fd: number, operation: number): number
  growPipe(fd: number, sizeBytes: number): number
  listXattrs(directory: number, name: string): string | number
  getXattr(directory: number, name: string, attribute: string): Buffer | number
  setXattr(directory: number, name: string, attribute: string, value: Uint8Array): number
  removeXattr(directory: number, name: string, attribute: string): number
  deflateBlock(
    input: Uint8Array,
    offset: number,
    length: number,
    window: number,
    output: Uint8Array,
    isLast: boolean,
  ): Promise<number> | number
  deflateBound(length: number): number
  guardSignals(graceSeconds: number): number
  landlockVersion(): number
  /** Of an image and a directory for a node of a moment: a descriptor of its root, or what failed. */
  mountImage(image: number, scratch: number): number | readonly [number, string]
  isImageMounted(image: number, scratch: number): number
  trim(fd: number): number
}

/** Records and names; or `-errno` and the path (from the directory) that failed. */
export type PackedOrFailure = readonly [ArrayBuffer, string] | readonly [number, string]

let loaded: NativeFiles | undefined

/**
 * The addon, loaded at the first call: parsing, checks and graphs work without it, on other systems too.
 * Throws OCI_RUNTIME_NATIVE_MISSING, with what to do, when it is not there or does not load.
 */
export function native(): NativeFiles {
  return (loaded ??= load())
}

/** Node's names of the architectures that the native parts are built for. */
const NATIVE_ARCHITECTURES = ['x64', 'arm64'] as const

/**
 * Absolute path of a native part: `native/<arch>/` beside the compiled code. Each file serves glibc and musl alike: the
 * launcher is static, the addon takes what it calls from the C library of the Node that loads it.
 * Throws OCI_RUNTIME_NATIVE_MISSING.
 */
export function nativePartPath(file: 'addon.node' | 'launcher'): string {
  if (process.platform !== 'linux') {
    throw missing(
      `this needs Linux: there is no ${file} for ${process.platform}`,
      'run the build on Linux; parsing, checks, graphs and --print work here',
    )
  }
  if (!(NATIVE_ARCHITECTURES as readonly string[]).includes(process.arch)) {
    throw missing(
      `there is no native code for ${process.arch}`,
      `run the build on ${NATIVE_ARCHITECTURES.join(' or ')}; parsing, checks, graphs and --print work here`,
    )
  }
  const candidates = ['../dist/native/', './native/'].map((folder) =>
    fileURLToPath(new URL(`${folder}${process.arch}/${file}`, import.meta.url)),
  )
  const found = candidates.find((path) => existsSync(path))
  if (found === undefined) {
    throw missing(
      `the native part ${file} has not been built for ${process.arch}`,
      'in the source tree: `npm run native` (it needs a C compiler: gcc or clang, and libc6-dev); else install the package again',
    )
  }
  return found
}

function load(): NativeFiles {
  const path = nativePartPath('addon.node')
  const module = { exports: {} as NativeFiles }
  try {
    // Not `require`: Jest replaces it, and an ES module has none.
    process.dlopen(module, path, constants.dlopen.RTLD_NOW)
  } catch (cause) {
    throw missing(
      `the native part addon.node does not load on this machine (${process.arch})`,
      'build it here with `npm run native`',
      cause,
    )
  }
  return module.exports
}

function missing(message: string, hint: string, cause?: unknown): RuntimeError {
  return new RuntimeError('OCI_RUNTIME_NATIVE_MISSING', message, { hint, cause })
}
