import type { ChildProcess } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import { connect } from './connection.ts'
import { spawnLauncher } from './launcher.ts'
import { startExecutor } from './start.ts'

describeWith(['root'], 'an executor that is killed before it serves', () => {
  // The next isolation would have other caches, and a layer of other content that every later build takes.
  test('is an error: no weaker isolation is taken in its place', async () => {
    await using directory = await temporaryDirectory()
    const killAtOnce = (message: unknown): void => {
      const { process: child } = message as { readonly process: ChildProcess }
      // The first alone: what would be taken in its place lives.
      unsubscribe('child_process', killAtOnce)
      child.once('spawn', () => child.kill('SIGKILL'))
    }
    const start = async (): Promise<string> => {
      subscribe('child_process', killAtOnce)
      try {
        const executor = await startExecutor({ isolation: 'auto', stateDirectory: directory.path })
        await executor.close()
        return executor.isolation
      } catch (error) {
        return (error as { readonly code: string }).code
      }
    }
    const outcomes = [await start()]
    // On a busy machine it may serve before this process comes to kill it.
    while (outcomes.at(-1) === 'namespace' && outcomes.length < 50) outcomes.push(await start())
    expect(outcomes.at(-1)).toBe('OCI_RUNTIME_EXECUTOR_DIED')
  })

  test.each([
    ['before its ids are mapped', 'kill -9 $1; sleep 0.1; exit 1'],
    ['by the end of the program that maps its ids', 'kill -9 $$'],
  ])('%s is no reason to begin with fewer ids', async (_when, script) => {
    await using directory = await temporaryDirectory()
    const mapIds = directory.join('map-ids')
    writeFileSync(mapIds, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const ids = ['0', '0', '100000', '65536', '100000', '65536']
    const launcher = await spawnLauncher(directory.path, ['helper', mapIds, mapIds, ...ids])
    await expect(connect(launcher)).rejects.toMatchObject({ code: 'OCI_RUNTIME_EXECUTOR_DIED' })
  })

  test('a program that maps no ids is a refusal, which says so', async () => {
    await using directory = await temporaryDirectory()
    const ids = ['0', '0', '100000', '65536', '100000', '65536']
    const launcher = await spawnLauncher(directory.path, ['helper', '/bin/false', '/bin/false', ...ids])
    expect(await connect(launcher)).toEqual({ operation: '/bin/false', errno: 'EPERM' })
  })
})
