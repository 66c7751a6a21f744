import {
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  ftruncateSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { RuntimeError } from '../../errors.ts'
import { findProgram } from '../../find-program.ts'

const run = promisify(execFile)

const MIB = 1 << 20
/** With less there is no room for a base either. */
const LEAST_BYTES = 256 * MIB

/** No journal: what a crash of the machine leaves is thrown away. No checksums of metadata: the disk beneath has its own. */
const FEATURES =
  '^has_journal,^resize_inode,^metadata_csum,extent,flex_bg,uninit_bg,dir_index,filetype,large_file,extra_isize'

/**
 * The file's name says which start of the machine it belongs to and which inode it was made as. So one of a former start, or
 * one that was carried here, is known without being opened; nothing in it need have reached a disk.
 */
function nameOf(bootId: string, inode: bigint): string {
  return `trees-${bootId}-${inode}.ext4`
}

/** Whether a row that names an image can mean one that is here. */
export function isImageFile(directory: string, name: string, bootId: string): boolean {
  const stat = lstatSync(join(directory, name), { throwIfNoEntry: false, bigint: true })
  return stat !== undefined && stat.isFile() && stat.nlink === 1n && name === nameOf(bootId, stat.ino)
}

/** The image of this start of the machine; all else in the directory that is an image is removed. With the lock held. */
export function findImageFile(directory: string, bootId: string): string | undefined {
  let found: string | undefined
  for (const name of readdirSync(directory)) {
    if (!/\.(ext4|new)$/.test(name)) continue
    if (found === undefined && isImageFile(directory, name, bootId)) found = name
    // Whoever has it mounted keeps it until the last descriptor is closed.
    else rmSync(join(directory, name), { force: true })
  }
  return found
}

/** Makes an empty image: under another name until it is whole. With the lock held. Throws OCI_RUNTIME_UNSUPPORTED. */
export async function makeImageFile(directory: string, bootId: string, signal?: AbortSignal): Promise<string> {
  const { bavail, bsize } = statfsSync(directory)
  const sizeBytes = Math.floor((bavail * bsize) / MIB) * MIB
  if (sizeBytes < LEAST_BYTES)
    throw new RuntimeError(
      'OCI_RUNTIME_UNSUPPORTED',
      `${directory} has no room for an image (${sizeBytes / MIB} MiB free)`,
      {
        hint: 'free some: `tsbuild prune -a` empties the build cache',
      },
    )
  const path = join(directory, 'image.new')
  const fd = openSync(path, 'wx', 0o600)
  ftruncateSync(fd, sizeBytes)
  closeSync(fd)
  const options = ['-q', '-F', '-m', '0', '-b', '4096', '-I', '256', '-i', '16384', '-O', FEATURES]
  try {
    await run(findProgram('mkfs.ext4')!, [...options, '-E', 'lazy_itable_init=1,nodiscard', path], {
      ...(signal && { signal }),
    })
  } catch (cause) {
    rmSync(path, { force: true })
    throw new RuntimeError('OCI_RUNTIME_UNSUPPORTED', `mkfs.ext4 failed: ${lastLine(cause)}`, { cause })
  }
  const name = nameOf(bootId, lstatSync(path, { bigint: true }).ino)
  renameSync(path, join(directory, name))
  return name
}

/** Whether nothing is wrong with an image that nobody has mounted. */
export async function isSound(path: string): Promise<boolean> {
  const program = findProgram('e2fsck') ?? findProgram('fsck.ext4')
  if (program === undefined) return false
  return run(program, ['-f', '-n', path]).then(
    () => true,
    () => false,
  )
}

/** Makes the directory of images, and in it the place where the executor sees the mounted one. */
export function prepareImageDirectory(directory: string): string {
  const at = join(directory, 'at')
  mkdirSync(at, { recursive: true, mode: 0o700 })
  return at
}

function lastLine(error: unknown): string {
  const text = (error as { stderr?: string }).stderr?.trim() || (error instanceof Error ? error.message : String(error))
  return text.slice(text.lastIndexOf('\n') + 1)
}
