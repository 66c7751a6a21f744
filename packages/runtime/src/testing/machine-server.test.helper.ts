/** Runs as some user: takes requests as lines of JSON, answers each with a line. */
import { createInterface } from 'node:readline'
import { mkdirSync } from 'node:fs'
import { isTsOciError } from '../errors.ts'
import { startExecutor } from '../executor/start.ts'
import { prepareOverlay } from '../steps/overlay.ts'
import type { Executor, ExecutorOptions } from '../executor/types.ts'
import type { NetworkName } from '../network/list.ts'
import type { StepSpec } from '../steps/types.ts'
import type { TestStep } from './machine.test.helper.ts'

const [own = '', rootfs = '', isolation = 'auto'] = process.argv.slice(2)
let executor: Executor | undefined
let steps = 0

type Request = { readonly id: number } & (
  | { readonly op: 'start' }
  | { readonly op: 'network'; readonly name: NetworkName }
  | { readonly op: 'run'; readonly step: TestStep }
  | {
      readonly op: 'job'
      readonly moduleUrl: string
      readonly name: string
      readonly input: unknown
      readonly cancelAfterMs?: number
    }
  | { readonly op: 'removeTrees'; readonly paths: readonly string[] }
)

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const request = JSON.parse(line) as Request
  void answer(request).then((result) => process.stdout.write(`${JSON.stringify({ id: request.id, result })}\n`))
})
lines.on('close', () => void executor?.close())

async function answer(request: Request): Promise<unknown> {
  try {
    if (request.op === 'start') {
      executor = await startExecutor({
        isolation: isolation as ExecutorOptions['isolation'],
        stateDirectory: `${own}/state`,
        jobLimits: () => ({ base: own, writable: [`${own}/granted`], readable: [rootfs] }),
      })
      return { isolation: executor.isolation, idMapping: executor.idMapping }
    }
    if (request.op === 'network') {
      const { kind, notice } = await executor!.openNetwork(request.name)
      return { kind, notice }
    }
    if (request.op === 'run') return await run(request.step)
    if (request.op === 'removeTrees') return (await executor!.removeTrees(request.paths)) ?? {}
    const signal = request.cancelAfterMs === undefined ? undefined : AbortSignal.timeout(request.cancelAfterMs)
    return { output: await executor!.runJob(request.moduleUrl, request.name, request.input, signal) }
  } catch (error) {
    return { error: describe(error) }
  }
}

async function run(step: TestStep): Promise<object> {
  const directory = `${own}/step-${++steps}`
  mkdirSync(directory)
  const {
    run: command,
    env,
    cwd,
    uid,
    gid,
    groups,
    layers,
    onlyLayers,
    readonlyRoot,
    directoryRoot,
    cancelAfterMs,
    cancelAt,
    ...rest
  } = step
  const lowers = [...(onlyLayers ? [] : [rootfs]), ...(layers ?? [])]
  const root = rootOf(directory, lowers, step)
  const upper = root.kind === 'overlay' ? root.upper : undefined
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[], output: [] as Uint8Array[] }
  const controller = new AbortController()
  if (cancelAfterMs !== undefined) setTimeout(() => controller.abort(), cancelAfterMs)
  const started = performance.now()
  const texts = (): object =>
    Object.fromEntries(Object.entries(chunks).map(([name, list]) => [name, Buffer.concat(list).toString('latin1')]))
  try {
    const exit = await executor!.runStep(
      {
        name: 'test step',
        mounts: (rest.mounts ?? []).map(reviveContent),
        network: 'host',
        hostname: 'testhost',
        extraHosts: [],
        security: 'sandbox',
        ...withoutMounts(rest),
        root,
        process: {
          args: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
          env: env ?? ['PATH=/bin'],
          cwd: cwd ?? '/',
          user: { uid: uid ?? 0, gid: gid ?? 0, additionalGids: groups ?? [] },
        },
      },
      {
        signal: controller.signal,
        onOutput: (stream, chunk) => {
          chunks[stream].push(chunk)
          chunks.output.push(chunk)
          if (cancelAt !== undefined && Buffer.concat(chunks.output).includes(cancelAt)) controller.abort()
        },
      },
    )
    return { exit, ...texts(), upper, durationMs: performance.now() - started }
  } catch (error) {
    return { error: describe(error), ...texts(), upper, durationMs: performance.now() - started }
  }
}

function rootOf(
  directory: string,
  lowers: readonly string[],
  { readonlyRoot, directoryRoot }: TestStep,
): StepSpec['root'] {
  if (directoryRoot !== undefined) return { kind: 'directory', path: directoryRoot }
  return readonlyRoot === true ? { kind: 'overlay', lowers } : prepareOverlay(directory, lowers)
}

function withoutMounts(step: object): object {
  return Object.fromEntries(Object.entries(step).filter(([name]) => name !== 'mounts'))
}

/** Bytes became an object on their way through JSON. */
function reviveContent<Mount extends { readonly source: object }>(mount: Mount): Mount {
  const { content } = mount.source as { readonly content?: object }
  return content === undefined
    ? mount
    : { ...mount, source: { ...mount.source, content: Buffer.from(Object.values(content as Record<string, number>)) } }
}

function describe(error: unknown): object {
  if (isTsOciError(error)) return { code: error.code, message: error.message, hint: error.hint, details: error.details }
  const { code } = error as { readonly code?: string }
  return { code, message: error instanceof Error ? error.message : String(error) }
}
