/** A process of a given user that starts an executor and runs what a test sends it. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  CONTAINER_ROOT,
  checkTool,
  commandAs,
  containerScript,
  makeBusyboxRoot,
  nodeFlags,
  publicPath,
  temporaryDirectory,
} from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'
import type { OpenNetwork } from '../executor/types.ts'
import type { IdMapping } from '../isolation/types.ts'
import type { NetworkName } from '../network/list.ts'
import type { StepExit, StepSpec } from '../steps/types.ts'

export interface StepResult {
  readonly exit?: StepExit
  readonly stdout: string
  readonly stderr: string
  /** Both streams in the order in which they came. */
  readonly output: string
  /** Where the step's writes are. */
  readonly upper: string
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
  readonly durationMs: number
}

/** A step as a test writes it: what it leaves out is ordinary. */
export type TestStep = Partial<Omit<StepSpec, 'root' | 'process'>> & {
  /** A command line for /bin/sh, or arguments. */
  readonly run: string | readonly string[]
  readonly env?: readonly string[]
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  readonly groups?: readonly number[]
  /** Layers above the busybox root, bottom first; or all of them. */
  readonly layers?: readonly string[]
  readonly onlyLayers?: boolean
  readonly readonlyRoot?: boolean
  /** A directory that is the root as it is, instead of an overlay. */
  readonly directoryRoot?: string
  readonly cancelAfterMs?: number
  /** Abort once this text was written. */
  readonly cancelAt?: string
}

export interface Machine extends AsyncDisposable {
  readonly isolation: string
  readonly idMapping: IdMapping
  readonly directory: TemporaryDirectory
  readonly rootfs: string
  readonly child: ChildProcess
  run(step: TestStep): Promise<StepResult>
  network(name: NetworkName): Promise<OpenNetwork>
  job(
    moduleUrl: string,
    name: string,
    input: unknown,
    cancelAfterMs?: number,
  ): Promise<{
    readonly output?: unknown
    readonly error?: {
      readonly code?: string
      readonly message: string
      readonly hint?: string
      readonly details?: unknown
    }
  }>
  removeTrees(paths: readonly string[]): Promise<void>
  /** A directory that root of a step owns. */
  ownDirectory(name: string): Promise<string>
  /** Files of a directory (name → content) owned by root of a step. */
  layer(name: string, files: Readonly<Record<string, string>>): Promise<string>
}

/**
 * Who runs the executor: root, root in a user namespace, root of a container without privilege or with ids of its own, a
 * user with subordinate ids, a user without.
 */
export type Who = 'root' | 'root-userns' | 'container' | 'container-userns' | 'subordinate' | 'single'

/** What a machine needs besides root (to become somebody else) and busybox. */
export const requirementsOf: Readonly<Record<Who, readonly string[]>> = {
  root: ['root', 'busybox'],
  'root-userns': ['root', 'busybox'],
  container: ['root', 'busybox', 'setpriv', 'unshare'],
  'container-userns': ['root', 'busybox', 'setpriv', 'unshare', 'nsenter'],
  subordinate: ['root', 'busybox', 'newuidmap', 'setpriv', 'unshare'],
  single: ['root', 'busybox', 'setpriv', 'unshare'],
}

const server = fileURLToPath(new URL('./machine-server.test.helper.ts', import.meta.url))

/** `nobody` with ranges of subordinate ids that only its own mount namespace sees; or an id that nobody has. */
export const users: Readonly<Record<Who, { readonly uid: number; readonly gid: number }>> = {
  subordinate: { uid: 65_534, gid: 65_534 },
  single: { uid: 12_345, gid: 12_345 },
  root: { uid: 0, gid: 0 },
  'root-userns': { uid: 0, gid: 0 },
  container: { uid: 0, gid: 0 },
  'container-userns': { uid: CONTAINER_ROOT, gid: CONTAINER_ROOT },
}

/** Who is root of a step on this machine, where that is not the user: the first of a shifted map. */
export const stepRoots: Partial<Record<Who, number>> = {
  'root-userns': 100_000,
  container: 100_000,
  'container-userns': CONTAINER_ROOT + 1,
}

export interface MachineOptions {
  readonly isolation?: string
  /** Directories that an empty one covers, for this machine alone; as root, needs `unshare` and `mount`. */
  readonly covered?: readonly string[]
  /** A command that runs the machine's process, which follows as its arguments. */
  readonly wrapper?: readonly string[]
  /** Descriptors of the test that the machine's process inherits, from 3 on, as from a careless shell. */
  readonly inherited?: readonly number[]
}

export async function startMachine(who: Who, options: MachineOptions = {}): Promise<Machine> {
  const directory = await temporaryDirectory('ts-oci-runtime-')
  chmodSync(directory.path, 0o755)
  const { uid, gid } = users[who]
  const rootfs = directory.join('rootfs')
  mkdirSync(rootfs)
  await makeBusyboxRoot(rootfs)
  mkdirSync(directory.join('own'))
  mkdirSync(directory.join('own', 'state'), { mode: 0o700 })
  mkdirSync(directory.join('own', 'granted'))
  const stepRoot = stepRoots[who] ?? uid
  await checkTool('chown', ['-R', `${stepRoot}:${stepRoots[who] ?? gid}`, rootfs])
  await checkTool('chown', ['-R', `${uid}:${gid}`, directory.join('own')])
  const args = [directory.join('own'), rootfs, options.isolation ?? isolationOf(who)]
  const child = spawnAs(who, directory, args, options)
  const call = callsTo(child)
  const started = (await call({ op: 'start' })) as {
    readonly isolation: string
    readonly idMapping: IdMapping
    readonly error?: { message: string }
  }
  if (started.error) throw new Error(started.error.message)
  return {
    ...started,
    directory,
    rootfs,
    child,
    network: (name) => call({ op: 'network', name }) as Promise<OpenNetwork>,
    run: (step) => call({ op: 'run', step }) as Promise<StepResult>,
    job: (moduleUrl, name, input, cancelAfterMs) => {
      const seen =
        uid === 0 && who !== 'container'
          ? moduleUrl
          : pathToFileURL(publicPath(directory, fileURLToPath(moduleUrl))).href
      return call({ op: 'job', moduleUrl: seen, name, input, cancelAfterMs }) as never
    },
    removeTrees: async (paths) => {
      const { error } = (await call({ op: 'removeTrees', paths })) as { readonly error?: { readonly message: string } }
      if (error) throw new Error(error.message)
    },
    ownDirectory: async (name) => {
      mkdirSync(directory.join('own', name), { recursive: true })
      await checkTool('chown', [`${stepRoot}:${stepRoots[who] ?? gid}`, directory.join('own', name)])
      return directory.join('own', name)
    },
    layer: async (name, files) => {
      const path = directory.join('own', name)
      mkdirSync(path)
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(`${path}/${file}`.replace(/\/[^/]*$/, ''), { recursive: true })
        if (!file.endsWith('/')) writeFileSync(`${path}/${file}`, content)
      }
      await checkTool('chown', ['-R', `${stepRoot}:${stepRoots[who] ?? gid}`, path])
      return path
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.stdin!.end()
        await ended
      }
      await directory[Symbol.asyncDispose]()
    },
  }
}

function isolationOf(who: Who): string {
  return who === 'root-userns' ? 'rootless' : 'auto'
}

const coverAll = 'n=$1; shift; while [ $n -gt 0 ]; do mount -t tmpfs none "$1"; shift; n=$((n - 1)); done; exec "$@"'

function spawnAs(
  who: Who,
  directory: TemporaryDirectory,
  args: readonly string[],
  { covered = [], wrapper = [], inherited = [] }: MachineOptions,
): ChildProcess {
  const [program = '', ...rest] = commandOf(who, directory, server, args)
  const command =
    covered.length === 0
      ? [...wrapper, program, ...rest]
      : ['unshare', '-m', 'sh', '-ec', coverAll, 'cover', String(covered.length), ...covered, program, ...rest]
  return spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit', ...inherited] })
}

/** The command line that runs a file of this checkout as that user. */
export function commandOf(
  who: Who,
  directory: TemporaryDirectory,
  file: string,
  args: readonly string[],
): readonly string[] {
  const { uid, gid } = users[who]
  const isContainer = who === 'container' || who === 'container-userns'
  if (uid === 0 && !isContainer) return [process.execPath, ...nodeFlags, file, ...args]
  const become = isContainer ? { become: containerScript({ ownIds: who === 'container-userns' }) } : {}
  const user = { uid, gid, directory, hasSubordinateIds: who === 'subordinate', ...become }
  return commandAs(user, [...nodeFlags, publicPath(directory, file), ...args])
}

function callsTo(child: ChildProcess): (request: object) => Promise<unknown> {
  const waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  let nextId = 1
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { id, result } = JSON.parse(line) as { readonly id: number; readonly result: unknown }
    waiting.get(id)?.resolve(result)
    waiting.delete(id)
  })
  child.once('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the machine ended: ${code ?? signal}`))
  })
  child.stdin!.on('error', () => {})
  return (request) =>
    new Promise((resolve, reject) => {
      const id = nextId++
      waiting.set(id, { resolve, reject })
      child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`)
    })
}
