/** File jobs that try what a process that unpacks a hostile layer must not be able to do. Each answers an error code, or "done". */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { connect } from 'node:net'
import { chownAt, closeFd, errnoOf, mknodAt, openRoot, setXattr } from '../files/index.ts'
import type { JobHandlers } from '../executor/job-handler.ts'

interface Places {
  /** A directory that the process may write. */
  readonly inside: string
  /** Directories that it may not. */
  readonly outside: string
  readonly beside: string
  /** Of a server that runs. */
  readonly port: number
}

const attempts: Readonly<Record<string, (places: Places) => unknown>> = {
  'read /etc/shadow': () => fs.readFileSync('/etc/shadow'),
  'list the root': () => fs.readdirSync('/'),
  'read memory of process 1': () => fs.openSync('/proc/1/mem', 'r'),
  'write outside': ({ outside }) => fs.writeFileSync(`${outside}/new`, 'x'),
  'write into the base, beside what is granted': ({ beside }) => fs.writeFileSync(`${beside}/new`, 'x'),
  'overwrite outside': ({ outside }) => fs.writeFileSync(`${outside}/file`, 'x'),
  'truncate outside': ({ outside }) => fs.truncateSync(`${outside}/file`),
  'remove outside': ({ outside }) => fs.unlinkSync(`${outside}/file`),
  'make a set-uid file outside': ({ outside }) => fs.chmodSync(`${outside}/file`, 0o4777),
  'give a file outside away': ({ outside }) => fs.lchownSync(`${outside}/file`, 1234, 1234),
  'set times outside': ({ outside }) => fs.utimesSync(`${outside}/file`, 1, 1),
  'chmod the root': () => fs.chmodSync('/', 0o777),
  'follow a link outside': ({ inside, outside }) => {
    fs.symlinkSync(outside, `${inside}/link`)
    fs.writeFileSync(`${inside}/link/new`, 'x')
  },
  'link a file of outside': ({ inside, outside }) => fs.linkSync(`${outside}/file`, `${inside}/hard`),
  'open a disk': ({ inside }) => {
    const directory = openRoot(inside)
    try {
      mknodAt(directory, 'disk', 'block', 0o600, 7, 0)
    } finally {
      closeFd(directory)
    }
    fs.openSync(`${inside}/disk`, 'r')
  },
  'write a setting of the kernel': () => fs.writeFileSync('/proc/sys/kernel/core_pattern', 'x'),
  'signal process 1': () => process.kill(1, 'SIGKILL'),
  mount: () => succeed('mount', ['-t', 'tmpfs', 'none', '/mnt']),
  'take namespaces': () => succeed('unshare', ['-m', 'true']),
  'make memory that others share': () => succeed('ipcmk', ['-M', '4096']),
  // A harmless one of the calls that act on a whole file system, beside freezing and shutting it down.
  'trim the file system': ({ inside }) => {
    const { stderr, status, error } = spawnSync('/usr/sbin/fstrim', [inside], { encoding: 'utf8' })
    if (error !== undefined) throw error
    if (/not permitted/i.test(stderr)) throw Object.assign(new Error(stderr), { code: 'EPERM' })
    if (status !== 0) throw Object.assign(new Error(stderr), { code: `ANOTHER ERROR: ${stderr}` })
  },
  'become a user': () => process.setuid!(1000),
}

/** A program's failure as a code: it has no errno for us. */
function succeed(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
  if (error !== undefined) throw error
  if (status !== 0) throw Object.assign(new Error(command), { code: 'REFUSED' })
}

function outcome(attempt: () => unknown): string {
  try {
    attempt()
    return 'done'
  } catch (error) {
    return errnoOf(error) ?? String((error as { readonly code?: string }).code)
  }
}

export const handlers: JobHandlers = {
  attempts: (places: Places) =>
    Object.fromEntries(Object.entries(attempts).map(([name, attempt]) => [name, outcome(() => attempt(places))])),
  connect: ({ port }: Places) =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', (error) => resolve((error as { readonly code?: string }).code))
      socket.once('connect', () => resolve('done'))
    }),
  environment: () => Object.keys(process.env).toSorted(),
  /** What a layer may hold, for an executor that has all ids. */
  writeLayer: ({ inside, xattr }: Places & { readonly xattr: string }) => {
    fs.writeFileSync(`${inside}/owned`, 'x')
    const directory = openRoot(inside)
    try {
      chownAt(directory, 'owned', 1234, 4321)
      fs.chmodSync(`${inside}/owned`, 0o6755)
      setXattr(
        directory,
        'owned',
        'security.capability',
        Buffer.from('0100000200200000000000000000000000000000', 'hex'),
      )
      mknodAt(directory, 'whiteout', 'character', 0, 0, 0)
      fs.mkdirSync(`${inside}/opaque`)
      setXattr(directory, 'opaque', xattr, Buffer.from('y'))
    } finally {
      closeFd(directory)
    }
    fs.mkdirSync(`${inside}/other`)
    fs.renameSync(`${inside}/owned`, `${inside}/other/owned`)
    const { uid, gid, mode } = fs.statSync(`${inside}/other/owned`)
    return { uid, gid, mode: mode & 0o7777 }
  },
}
