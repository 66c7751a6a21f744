import { mkdirSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findTool } from './requirements.ts'
import type { TemporaryDirectory } from './temporary.ts'

/** What an ordinary user may not reach (a checkout in root's home) is shown to it in a mount namespace of its own. */
export interface UserCommand {
  readonly uid: number
  readonly gid: number
  /** Readable by everybody. */
  readonly directory: TemporaryDirectory
  readonly hasSubordinateIds?: boolean
  /** A command for the shell, as root, before. */
  readonly before?: string
  /** In the place of setpriv: a script that runs its arguments as somebody, somewhere. */
  readonly become?: string
}

/** Root of the checkout. */
const checkout = fileURLToPath(new URL('../../', import.meta.url))
const shownFolders = ['packages', 'testing', 'node_modules']

/** For a process that runs the sources: Node strips the types, and finds other packages' sources by the condition. */
export const nodeFlags: readonly string[] = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']

/** Where the user finds a file of the checkout. */
export function publicPath(directory: TemporaryDirectory, path: string): string {
  return directory.join('checkout', relative(checkout, path))
}

/** The command line that runs Node as that user; needs root, `unshare` and `setpriv`. */
export function commandAs(user: UserCommand, nodeArguments: readonly string[]): readonly string[] {
  const { uid, gid, directory, before } = user
  for (const folder of shownFolders) mkdirSync(directory.join('checkout', folder), { recursive: true })
  writeFileSync(directory.join('node'), '')
  writeFileSync(directory.join('subid'), 'nobody:300000:65536\n')
  const lines = [
    'set -e',
    ...shownFolders.map((folder) => `mount --bind "$2/${folder}" "$1/checkout/${folder}"`),
    'mount --bind "$3" "$1/node"',
    ...(user.hasSubordinateIds ? ['mount --bind "$1/subid" /etc/subuid', 'mount --bind "$1/subid" /etc/subgid'] : []),
    ...(before === undefined ? [] : [before]),
    'node=$1/node; shift 3; set -- "$node" "$@"',
    user.become ?? `exec setpriv --reuid=${uid} --regid=${gid} --clear-groups "$@"`,
  ]
  const script = lines.join('\n')
  return [
    findTool('unshare') ?? 'unshare',
    '-m',
    'sh',
    '-c',
    script,
    'sh',
    directory.path,
    checkout,
    process.execPath,
    ...nodeArguments,
  ]
}
