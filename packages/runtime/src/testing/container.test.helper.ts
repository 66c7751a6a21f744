/** A machine whose executor is what root is in a default container of Docker (as-container.c), with isolation chroot. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { checkTool, temporaryDirectory } from '@ts-oci/testing'
import { nativePartPath } from '../native.ts'
import { startMachine, type StepResult, type TestStep } from './machine.test.helper.ts'

export interface Container extends AsyncDisposable {
  /** The root of its steps, a plain directory. */
  readonly root: string
  readonly own: string
  /** What is in the environment of every process of its steps. */
  readonly marker: string
  run(step: TestStep): Promise<StepResult>
  /** A new directory on the file system of the root. */
  directory(name: string): string
  /** Where the steps find a compiled program of this folder. */
  program(name: string): string
  /** Every path with type, mode, owner, time and content of the root. */
  listRoot(): string
  /** Kills a process of it by its name or its part. */
  kill(victim: string): void
  /** What the next start does first. */
  sweep(): Promise<void>
}

/** Compiles a C file of this folder. */
export async function compileHelper(name: string, to: string): Promise<void> {
  await checkTool('cc', ['-static', '-O1', '-o', to, join(import.meta.dirname, `${name}.c`)])
}

export async function startContainer(): Promise<Container> {
  const programs = await temporaryDirectory('ts-oci-container-')
  await compileHelper('as-container', programs.join('as-container'))
  const machine = await startMachine('root', { isolation: 'chroot', wrapper: [programs.join('as-container')] })
  const marker = `ts-oci-chroot-${process.pid}-${Math.random().toString(36).slice(2)}`
  const { rootfs } = machine
  writeFileSync(join(rootfs, 'rootmark'), '')
  mkdirSync(join(rootfs, 'tmp'), { recursive: true })
  mkdirSync(join(rootfs, 'etc'), { recursive: true })
  for (const name of ['reach-out', 'fork-bomb']) await compileHelper(name, join(rootfs, 'bin', name))
  const own = dirname(await machine.ownDirectory('any'))
  return {
    root: rootfs,
    own,
    marker,
    run: (step) =>
      machine.run({ directoryRoot: rootfs, ...step, env: ['PATH=/bin', `MARK=${marker}`, ...(step.env ?? [])] }),
    directory: (name) => {
      const path = join(own, name)
      mkdirSync(path)
      return path
    },
    program: (name) => `/bin/${name}`,
    listRoot: () =>
      spawnSync('find', ['.', '-printf', '%P %y %m %U:%G %T@ %l\n'], { cwd: rootfs, encoding: 'utf8' })
        .stdout.split('\n')
        .toSorted()
        .join('\n'),
    kill: (victim) => killIn(machine.child.pid!, victim),
    sweep: async () => {
      await checkTool(nativePartPath('launcher'), ['sweep', join(own, 'state')])
    },
    [Symbol.asyncDispose]: async () => {
      await machine[Symbol.asyncDispose]()
      await programs[Symbol.asyncDispose]()
    },
  }
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly name: string
}

function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const text = readFileSync(`/proc/${name}/status`, 'latin1')
      if (/^State:\tZ/m.test(text)) return []
      return [
        {
          pid: Number(name),
          parent: Number(/PPid:\t(\d+)/.exec(text)?.[1]),
          name: /Name:\t(.*)/.exec(text)?.[1] ?? '',
        },
      ]
    } catch {
      return [] // ended meanwhile
    }
  })
}

function killIn(coordinator: number, victim: string): void {
  const all = processes()
  const below = new Set([coordinator])
  for (let before = 0; before !== below.size;) {
    before = below.size
    for (const { pid, parent } of all) if (below.has(parent)) below.add(pid)
  }
  const launcher = all.find(({ parent, name }) => parent === coordinator && name.startsWith('ts-oci'))
  const pid =
    victim === 'coordinator'
      ? coordinator
      : victim === 'launcher'
        ? launcher?.pid
        : victim === 'executor'
          ? all.find(({ parent }) => parent === launcher?.pid)?.pid
          : all.find(({ pid: one, name }) => below.has(one) && name === victim)?.pid
  if (pid === undefined)
    throw new Error(
      `no ${victim} among ${all
        .filter((one) => below.has(one.pid))
        .map(({ name }) => name)
        .join(' ')}`,
    )
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Processes with a marker in their environment. */
export function remaining(marker: string): string[] {
  return processes().flatMap(({ pid, name }) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`MARK=${marker}`) ? [`${pid} ${name}`] : []
    } catch {
      return []
    }
  })
}
