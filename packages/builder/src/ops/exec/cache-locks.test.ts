import { mkdirSync, writeFileSync } from 'node:fs'
import { expect } from '@jest/globals'
import { describeWith, temporaryDirectory, testWith } from '@ts-oci/testing'
import { prepareOverlay, startExecutor, type Executor, type StepExit } from '@ts-oci/runtime'
import { createJobRunner } from '../../disk/job-runner.ts'
import type { ExecMount, ExecSpec } from '../../graph/op-specs.ts'
import { createLayerForms } from '../../layers/layer-forms.ts'
import { openStore } from '../../store/store.ts'
import { withCacheMounts } from './cache-locks.ts'

const CACHE = {
  type: 'cache',
  dest: '/cache',
  input: -1,
  selector: '',
  output: -1,
  readonly: false,
  cache: { id: 'shared one', sharing: 'shared' },
} satisfies Partial<ExecMount>

/** Runs a command that cannot be found, so an exit 127 says that everything before it was set up. */
function runMissingCommand(executor: Executor, directory: string, cache: string): Promise<StepExit> {
  return executor.runStep(
    {
      name: 'step',
      root: prepareOverlay(directory, [`${directory}/lower`]),
      mounts: [{ target: '/cache', readonly: false, source: { kind: 'bind', hostPath: cache } }],
      process: { args: ['/no-command'], env: [], cwd: '/', user: { uid: 0, gid: 0, additionalGids: [] } },
      network: 'none',
      hostname: 'step',
      extraHosts: [],
      security: 'sandbox',
    },
    { onOutput: () => {} },
  )
}

describeWith(['root'], 'a cache that another build empties before a step has it mounted', () => {
  testWith([], 'is asked for again, also when a third build has made its directory anew by then', async () => {
    await using directory = await temporaryDirectory('cache-locks')
    const root = directory.join('store')
    await using store = await openStore({ root })
    await using started = await startExecutor({
      isolation: 'namespace',
      stateDirectory: directory.join('store/run'),
    })
    const { signal } = new AbortController()
    const executor = async (): Promise<Executor> => started
    const jobs = createJobRunner({ executor, signal })
    const forms = createLayerForms({ store, jobs, executor, signal, fetcher: async () => false })
    let tries = 0
    const exit = await withCacheMounts(
      { store, forms, jobs, executor },
      { mounts: [CACHE], secretEnv: [] } as unknown as ExecSpec,
      [],
      { signal, whileWaiting: (work) => work() },
      async (directories) => {
        tries++
        const cache = [...directories.values()][0]!
        const step = directory.join(`step-${tries}`)
        mkdirSync(`${step}/lower`, { recursive: true })
        if (tries > 1) return runMissingCommand(started, step, cache)
        writeFileSync(`${cache}/old`, 'x')
        await store.emptyCacheMounts(['shared one'])
        return runMissingCommand(started, step, cache).finally(() => mkdirSync(cache))
      },
    )
    expect([tries, exit.exitCode]).toEqual([2, 127])
  })
})
