/**
 * Many builds at once in one store: of graphs that share bases, cache mounts (in every way of sharing, in opposite
 * orders) and names, in several processes and several to a process. As a program: one of those processes.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from './build.ts'
import { prune } from './usage.ts'
import { isTsOciError } from '../base/errors.ts'

export interface CrowdOptions {
  /** Holds the store and the contexts. */
  readonly directory: string
  readonly processes: number
  /** At once, in each process. */
  readonly builds: number
  readonly rounds: number
  /** One process dies by SIGKILL, and another one stands still for a second, this often. */
  readonly disturbMs?: number
  /** So many times at most: where a round takes longer than that, none would end. */
  readonly disturbances?: number
  /** `prune -a` runs all the time. */
  readonly prunes?: boolean
  /** Every build has caches and names of its own: what the work takes without the waiting. */
  readonly isApart?: boolean
  readonly seed: number
  /** No round may take longer. */
  readonly limitMs: number
}

export interface CrowdResult {
  /** How long each round took, that of a process and all of its builds. */
  readonly roundsMs: readonly number[]
  readonly builds: number
  readonly kills: number
  readonly stops: number
  readonly prunes: number
  readonly problems: readonly string[]
}

type WorkerOptions = Pick<CrowdOptions, 'directory' | 'builds' | 'rounds' | 'isApart' | 'seed'> & {
  readonly number: number
}

/** A generator of numbers below one (mulberry32), so that a failure can be had again. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below
  }
}

/** Each stage stands on a base that others share, and mounts some of three caches in an order of its own. */
function dockerfileOf(random: (below: number) => number, id: string, isApart: boolean): string {
  const pick = (count: number): number => Math.floor(random(count))
  const run = (options: readonly string[], script: string): string =>
    `RUN ${[...options, JSON.stringify(['/bin/busybox', 'sh', '-c', script])].join(' ')}`
  const lines = ['FROM scratch AS base', 'COPY busybox /bin/', `FROM base AS shared${pick(3)}`]
  const shared = lines.at(-1)!.slice('FROM base AS '.length)
  lines.push(run([], `echo ${shared} > /${shared}`), `COPY data /data-${pick(2)}`)
  const stages = 1 + pick(3)
  for (let stage = 0; stage < stages; stage++) {
    const caches = ['x', 'y', 'z'].filter(() => random(1) < 0.7).sort(() => random(1) - 0.5)
    const modes = caches.map(() => ['locked', 'shared', 'private'][pick(3)]!)
    const mounts = caches.map(
      (cache, index) => `--mount=type=cache,id=${cache}${isApart ? id : ''},target=/${cache},sharing=${modes[index]}`,
    )
    const own = caches.filter((_, index) => modes[index] !== 'shared')
    // Who has a cache alone finds in it what it wrote.
    const write = own.map((cache) => `echo ${id}.${stage} > /${cache}/owner`)
    const check = own.map((cache) => `[ "$(/bin/busybox cat /${cache}/owner)" = ${id}.${stage} ] || exit 9`)
    lines.push(`FROM ${shared} AS stage${stage}`)
    if (random(1) < 0.5) lines.push(run([], `echo ${stage} > /common`))
    lines.push(run(mounts, [...write, '/bin/busybox usleep 5000', ...check, `echo > /done${stage}`].join('; ')))
  }
  lines.push('FROM scratch')
  for (let stage = 0; stage < stages; stage++) lines.push(`COPY --from=stage${stage} /done${stage} /`)
  return `${lines.join('\n')}\n`
}

async function work({ directory, builds, rounds, isApart = false, seed, number }: WorkerOptions): Promise<void> {
  const random = createRandom(seed * 1000 + number)
  for (let round = 0; round < rounds; round++) {
    const startMs = Date.now()
    const one = async (index: number): Promise<void> => {
      const id = `${number}-${round}-${index}-${seed}`
      await build({
        context: join(directory, 'context'),
        store: join(directory, 'store'),
        dockerfile: dockerfileOf(random, id, isApart),
        tags: [isApart ? id : `name${Math.floor(random(3))}`],
        noCache: random(1) < 0.1,
        ...(random(1) < 0.3 ? { jobs: 1 } : {}),
      })
    }
    const results = await Promise.allSettled(Array.from({ length: builds }, (_, index) => one(index)))
    for (const result of results)
      if (result.status === 'rejected') process.stdout.write(`problem ${round}: ${told(result.reason)}\n`)
    process.stdout.write(`round ${Date.now() - startMs}\n`)
  }
}

function told(error: unknown): string {
  if (isTsOciError(error))
    return `${error.code} ${error.message} ${JSON.stringify(error.details)}`.replaceAll('\n', ' ')
  return error instanceof Error ? (error.stack ?? error.message).replaceAll('\n', ' | ') : String(error)
}

/** Runs such processes, and disturbs them. */
export async function runCrowd(options: CrowdOptions): Promise<CrowdResult> {
  const { directory, limitMs } = options
  prepareContext(directory)
  const state = { roundsMs: [] as number[], kills: 0, stops: 0, prunes: 0, problems: [] as string[] }
  const running = new Map<number, ChildProcess>()
  let isOver = false
  const runWorker = async (number: number): Promise<void> => {
    for (let done = 0, life = 0; done < options.rounds; life++) {
      const { child, rounds, problems, hasHung } = await runProcess(
        { ...options, rounds: options.rounds - done, number: number + life * 100 },
        limitMs,
        (started) => running.set(number, started),
      )
      running.delete(number)
      done += rounds.length
      state.roundsMs.push(...rounds)
      state.problems.push(...problems)
      if (hasHung) state.problems.push(`process ${number} had a round of more than ${limitMs} ms`)
      const wasKilled = child.signalCode === 'SIGKILL' && !hasHung
      if (hasHung || (!wasKilled && rounds.length === 0)) return
    }
  }
  const pruner = options.prunes === true ? startPruner(directory) : undefined
  const disturbing = (async () => {
    const random = createRandom(options.seed)
    const { disturbances = Infinity } = options
    for (let count = 0; options.disturbMs !== undefined && count < disturbances && !isOver; count++) {
      await delay(options.disturbMs)
      const victims = [...running.values()]
      const [killed, stopped] = [0, 1].map(() => victims[Math.floor(random(victims.length))])
      if (killed?.kill('SIGKILL') === true) state.kills++
      if (stopped === undefined || stopped === killed || !stopped.kill('SIGSTOP')) continue
      state.stops++
      await delay(1000)
      stopped.kill('SIGCONT')
    }
  })()
  await Promise.all(Array.from({ length: options.processes }, (_, number) => runWorker(number)))
  isOver = true
  await disturbing
  const pruned = await pruner?.end()
  state.prunes += pruned?.prunes ?? 0
  state.problems.push(...(pruned?.problems ?? []))
  return { ...state, builds: state.roundsMs.length * options.builds }
}

/**
 * `prune -a` all the time, in a process of its own: the database is waited for without giving the thread away, and this
 * one has to wake the process that it has stopped with the database in its hands.
 */
function startPruner(directory: string): {
  end(): Promise<{ readonly prunes: number; readonly problems: readonly string[] }>
} {
  const child = startProgram({ prunesIn: directory })
  const output = Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')])
  return {
    async end() {
      child.stdin!.end()
      const [lines, errors] = await output
      return { prunes: lines.split('pruned').length - 1, problems: errors === '' ? [] : [errors] }
    },
  }
}

async function pruneUntilTold(directory: string): Promise<void> {
  let isOver = false
  process.stdin.resume().once('end', () => (isOver = true))
  // All of it, and in turn by what was used least, as builds tidy up.
  for (let turn = 0; !isOver; turn++) {
    await prune({ store: join(directory, 'store'), ...(turn % 2 === 0 ? { all: true } : { maxUsedBytes: 1_000_000 }) })
    process.stdout.write('pruned\n')
    await delay(20)
  }
}

function startProgram(options: WorkerOptions | { readonly prunesIn: string }): ChildProcess {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const words = [fileURLToPath(import.meta.url), JSON.stringify(options)]
  return spawn(process.execPath, [...flags, ...words], {
    stdio: ['prunesIn' in options ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, TSBUILD_ASSERT_LOCKS: '1' },
  })
}

function prepareContext(directory: string): void {
  mkdirSync(join(directory, 'context'), { recursive: true })
  copyFileSync('/bin/busybox', join(directory, 'context/busybox'))
  writeFileSync(join(directory, 'context/data'), Buffer.alloc(200_000, 1))
}

async function runProcess(
  options: WorkerOptions,
  limitMs: number,
  onStart: (child: ChildProcess) => void,
): Promise<{
  readonly child: ChildProcess
  readonly rounds: readonly number[]
  readonly problems: readonly string[]
  readonly hasHung: boolean
}> {
  const child = startProgram(options)
  onStart(child)
  let hasHung = false
  const hang = (): void => {
    hasHung = true
    child.kill('SIGKILL')
  }
  let timer = setTimeout(hang, limitMs)
  child.stdout!.on('data', () => {
    clearTimeout(timer)
    timer = setTimeout(hang, limitMs)
  })
  const [output, errors] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')])
  clearTimeout(timer)
  const lines = output.split('\n')
  const problems = [...lines.filter((line) => line.startsWith('problem')), ...(errors === '' ? [] : [errors])]
  const rounds = lines.flatMap((line) => (/^round \d+$/.test(line) ? [Number(line.slice(6))] : []))
  return { child, rounds, problems, hasHung }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = JSON.parse(process.argv[2]!) as WorkerOptions | { readonly prunesIn: string }
  await ('prunesIn' in options ? pruneUntilTold(options.prunesIn) : work(options))
}
