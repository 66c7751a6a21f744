import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { accessSync, constants, readFileSync } from 'node:fs'
import { describeWith } from '@ts-oci/testing'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'

const MIB = 1024 * 1024

/** Where this process can limit memory, for certain: on version 2 that depends on who else is in its cgroup. */
function canLimit(): boolean {
  const path = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  try {
    accessSync(`/sys/fs/cgroup/memory${path}`, constants.W_OK)
    return path !== undefined
  } catch {
    return false
  }
}

const name = 'a build whose steps are limited'
if (canLimit()) describeWith(buildNeeds, name, body)
else describe.skip(`${name} [skipped, missing: a cgroup of version 1 for memory]`, body)

function body(): void {
  let world: BuildWorld
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function run(line: string, options: BuildOptions): Promise<BuildResult> {
    return world.build(await world.context('limits', { Dockerfile: `FROM $BASE\nRUN ${line}\n` }), options)
  }

  // BuildKit's words (executor/runcexecutor: ENOMEM where memory.events counts an oom_kill).
  test('tells an out-of-memory kill as one, with the limit', async () => {
    const memoryBytes = 32 * MIB
    const building = run('x=x; while :; do x=$x$x; done', {
      resources: { memoryBytes, memorySwapBytes: memoryBytes },
    })
    await expect(building).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: expect.stringMatching(/did not complete successfully: cannot allocate memory$/),
      hint: expect.stringContaining('more than its limit of 33554432 bytes'),
      details: expect.objectContaining({ oomKilled: true, exitCode: 137 }),
    })
  })

  test('finds in the cache what was built with other limits, or none', async () => {
    const statuses = async (resources: BuildOptions['resources']): Promise<readonly string[]> =>
      (await run('echo limited > /file', { resources })).vertices
        .filter(({ name: step }) => step.includes('RUN'))
        .map(({ status }) => status)
    expect(await statuses({ memoryBytes: 64 * MIB })).toEqual(['ran'])
    expect(await statuses({ cpuShares: 100, cgroupParent: '/not-there' })).toEqual(['cached'])
    expect(await statuses(undefined)).toEqual(['cached'])
  })

  test('fails where a limit cannot be set, and builds nothing', async () => {
    await expect(run('echo never', { resources: { cgroupParent: '/not-there' } })).rejects.toMatchObject({
      code: 'OCI_RUNTIME_LIMIT_UNAVAILABLE',
      message: expect.stringContaining('cgroup /not-there'),
    })
  })
}
