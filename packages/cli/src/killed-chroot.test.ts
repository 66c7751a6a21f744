import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { describeWith, listProcesses, makeBusyboxBase, temporaryDirectory, until } from '@ts-oci/testing'
import { environmentOf, tsbuild, tsbuildPath, writeContext } from './tsbuild.test.helper.ts'

describeWith(['root', 'busybox'], 'isolation chroot when all of its processes are killed at once', () => {
  test('the next command that opens the store puts the caches back, before it removes what is left', async () => {
    await using directory = await temporaryDirectory()
    const base = await makeBusyboxBase(directory.join('layout'))
    const build = async (name: string, run: string): Promise<readonly string[]> => {
      const context = await writeContext(directory, {
        [`${name}.Dockerfile`]: `FROM base\nRUN --mount=type=cache,target=/cache,id=one ${run}\n`,
      })
      const file = ['-f', join(context, `${name}.Dockerfile`)]
      return ['build', '--isolation=chroot', ...file, '--build-context', `base=oci-layout://${base.layout}`, context]
    }
    const marker = `marker-${process.pid}`
    const first = await tsbuild(directory, await build('first', 'echo kept > /cache/kept'))
    expect([first.status, first.stderr]).toEqual([0, expect.anything()])
    const child = spawn(
      process.execPath,
      [tsbuildPath, ...(await build('second', `touch /cache/started; sleep 100; : ${marker}`))],
      { cwd: directory.path, env: environmentOf(directory), stdio: 'ignore', detached: true },
    )
    const caches = directory.join('store/cache-mounts')
    await until(() => existsSync(caches) && readdirSync(caches).length === 0, 10_000)
    await until(() => existsSync(caches) && listProcesses().some(({ command }) => command.includes(marker)), 10_000)
    const all = below(child.pid!)
    // Stopped first: as if the container had ended, nobody sees another one's end.
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of all) process.kill(pid, signal)
    await until(() => all.every((pid) => !existsSync(`/proc/${pid}/exe`)), 10_000)
    expect(readdirSync(caches)).toEqual([])
    await tsbuild(directory, ['images'])
    const [cache] = readdirSync(caches)
    expect(readdirSync(join(caches, cache!)).toSorted()).toEqual(['kept', 'started'])
    expect([readdirSync(directory.join('store/tmp')), readdirSync(directory.join('store/run/executor'))]).toEqual([
      [],
      [],
    ])
  })
})

/** A process and all that descend from it. */
function below(root: number): readonly number[] {
  const found = new Set([root])
  for (let before = 0; before !== found.size;) {
    before = found.size
    for (const { pid, parent } of listProcesses()) if (found.has(parent)) found.add(pid)
  }
  return [...found]
}
