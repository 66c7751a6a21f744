import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine, Who } from '../testing/machine.test.helper.ts'
import { startExecutor } from './start.ts'

const rounds = Number(process.env['TSBUILD_KILL_ROUNDS'] ?? 1)
const victims = ['coordinator', 'launcher', 'executor', 'command', 'job process', 'random'] as const
type Victim = (typeof victims)[number]

const sleeping = 'while :; do (echo x > /file; sleep 0.01); done'
const jobs = new URL('../testing/handlers.test.helper.ts', import.meta.url).href

for (const who of ['root', 'container', 'subordinate', 'single'] as const satisfies readonly Who[]) {
  describeWith(requirementsOf[who], `kill -9 while steps run (${who})`, () => {
    let machine: Machine
    let marker: string
    beforeEach(async () => {
      machine = await startMachine(who)
      marker = `ts-oci-kill-${process.pid}-${Math.random().toString(36).slice(2)}`
      const layer = await machine.layer(marker, {})
      for (let number = 0; number < 3; number++) {
        const step = {
          run: `(setsid sleep 1000 &); ${sleeping}`,
          env: ['PATH=/bin', `MARKER=${marker}`],
          layers: [layer],
        }
        machine.run(step).catch(() => {})
      }
      machine.job(jobs, 'untilCanceled', {}).catch(() => {})
      await until(
        () =>
          processes().filter(
            ({ environment, command }) => environment.includes(marker) && command.startsWith('sleep 1000'),
          ).length === 3,
      )
      if (who !== 'root')
        await until(() => descendants(machine.child.pid!).some(({ command }) => command.includes('job-child')))
    })
    afterEach(async () => machine[Symbol.asyncDispose]())

    for (const victim of victims) {
      if (who === 'root' && victim === 'job process') continue
      for (let round = 1; round <= rounds; round++) {
        test(`of the ${victim} leaves no process and no mount behind (${round})`, async () => {
          const tree = descendants(machine.child.pid!)
          const coordinator = coordinatorOf(machine.child.pid!, tree)
          killOne(pick(victim, tree, coordinator))
          if (!['coordinator', 'launcher', 'executor'].includes(victim)) {
            await sleep(20)
            killOne(coordinator)
          }
          // The coordinator outlives these, and in a container what made that.
          const lasting = [coordinator, machine.child.pid!]
          const everything =
            victim === 'launcher' || victim === 'executor'
              ? tree.filter(({ pid }) => !lasting.includes(pid))
              : [...tree, { pid: machine.child.pid! }]
          await until(
            () =>
              remains(
                marker,
                everything.map(({ pid }) => pid),
              ).length === 0,
            10_000,
            () =>
              remains(
                marker,
                everything.map(({ pid }) => pid),
              ).join('\n'),
          )
        })
      }
    }
  })
}

describeWith(requirementsOf.root, 'the state directory', () => {
  test('what a killed executor left is removed by the next one, and a live one is left alone', async () => {
    await using directory = await temporaryDirectory()
    const stateDirectory = directory.path
    mkdirSync(directory.join('executor-1-1', 'base'), { recursive: true })
    await using first = await startExecutor({ isolation: 'namespace', stateDirectory })
    await until(() => readdirSync(stateDirectory).length === 1)
    await using second = await startExecutor({ isolation: 'namespace', stateDirectory })
    await sleep(100)
    expect(readdirSync(stateDirectory)).toHaveLength(2)
    await first.close()
    await second.close()
    expect(readdirSync(stateDirectory)).toEqual([])
  })

  test('executors that start at once do not take each other for leftovers', async () => {
    await using directory = await temporaryDirectory()
    const executors = await Promise.all(
      Array.from({ length: 6 }, () => startExecutor({ isolation: 'namespace', stateDirectory: directory.path })),
    )
    expect(readdirSync(directory.path)).toHaveLength(6)
    await Promise.all(executors.map((executor) => executor.close()))
    expect(readdirSync(directory.path)).toEqual([])
  })
})

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
  readonly environment: string
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const parent = Number(/PPid:\t(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1])
        return [
          {
            pid: Number(name),
            parent,
            command: readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' '),
            environment: readFileSync(`/proc/${name}/environ`, 'latin1'),
          },
        ]
      } catch {
        return [] // ended meanwhile
      }
    })
}

function descendants(root: number): Process[] {
  const all = processes()
  const found: Process[] = []
  const parents = [root]
  while (parents.length > 0) {
    const parent = parents.pop()
    const children = all.filter((one) => one.parent === parent)
    found.push(...children)
    parents.push(...children.map(({ pid }) => pid))
  }
  return found
}

/** The machine's process itself, or what stands below a container's. */
function coordinatorOf(root: number, tree: readonly Process[]): number {
  return (
    tree.find(({ command }) => command.split(' ')[0]?.endsWith('/node') && command.includes('machine-server'))?.pid ??
    root
  )
}

function pick(victim: Victim, tree: readonly Process[], coordinator: number): number {
  const childrenOf = (parent: number): readonly Process[] => tree.filter((one) => one.parent === parent)
  const launcher = childrenOf(coordinator)[0]!.pid
  const executor = childrenOf(launcher)[0]!.pid
  switch (victim) {
    case 'coordinator':
      return coordinator
    case 'launcher':
      return launcher
    case 'executor':
      return executor
    case 'command':
      return childrenOf(executor).find(({ command }) => command.includes('while :'))!.pid
    case 'job process':
      return tree.find(({ command }) => command.includes('job-child'))!.pid
    case 'random':
      return [...tree, { pid: coordinator }][Math.floor(Math.random() * (tree.length + 1))]!.pid
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // A process of the tree may have ended since it was seen.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Processes of the tree, processes with the steps' environment, and mount namespaces that hold their layers. */
function remains(marker: string, pids: readonly number[]): string[] {
  const own = readlinkSync('/proc/self/ns/mnt')
  return processes().flatMap((one) => {
    if (pids.includes(one.pid)) return [`process ${one.pid} ${one.command}`]
    if (one.environment.includes(`MARKER=${marker}`)) return [`step process ${one.pid} ${one.command}`]
    try {
      if (
        readlinkSync(`/proc/${one.pid}/ns/mnt`) !== own &&
        readFileSync(`/proc/${one.pid}/mountinfo`, 'latin1').includes(marker)
      )
        return [`mount in ${one.pid} ${one.command}`]
    } catch {
      return []
    }
    return []
  })
}

async function until(
  condition: () => boolean,
  limitMs = 5000,
  explain: () => string = () => 'the condition did not come',
): Promise<void> {
  const end = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(explain())
    await sleep(10)
  }
}
