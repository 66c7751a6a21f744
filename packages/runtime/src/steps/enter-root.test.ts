import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, temporaryDirectory } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

/** By architecture: asm/unistd.h. Docker's default filter refuses it to containers with CAP_SYS_ADMIN as well. */
const pivotRoot = { x64: '155', arm64: '41' }[process.arch as string] ?? '155'

async function compile(directory: TemporaryDirectory, name: string): Promise<string> {
  const source = fileURLToPath(new URL(`../testing/${name}.c`, import.meta.url))
  await checkTool('cc', ['-static', '-O1', '-o', directory.join(name), source])
  return directory.join(name)
}

describeWith([...requirementsOf.root, 'cc', 'unshare', 'mount', 'chroot'], 'where a filter refuses pivot_root', () => {
  let tools: TemporaryDirectory
  let machine: Machine
  let refuse: readonly string[]

  beforeAll(async () => {
    tools = await temporaryDirectory()
    refuse = [await compile(tools, 'refuse-call'), pivotRoot]
    machine = await startMachine('root', { wrapper: refuse })
  })
  afterAll(async () => {
    await machine[Symbol.asyncDispose]()
    await tools[Symbol.asyncDispose]()
  })

  test("a step's list of mounts holds its own root once and nothing of the machine", async () => {
    const { stdout, exit } = await machine.run({ run: 'cut -d" " -f5 /proc/self/mountinfo' })
    expect(exit?.exitCode).toBe(0)
    const isOfStep = /^\/(proc|sys|dev|etc\/(hosts|resolv\.conf))(\/|$)/
    expect(stdout.split('\n').filter((path) => path !== '' && !isOfStep.test(path))).toEqual(['/'])
  })

  test("whoever leaves a chroot of its own ends in the step's root", async () => {
    const layer = await machine.layer('escape', { marker: '' })
    copyFileSync(await compile(tools, 'leave-chroot'), join(layer, 'leave-chroot'))
    const outside = machine.directory.path
    const { stdout } = await machine.run({ run: ['/leave-chroot', '/marker', outside], layers: [layer] })
    expect(stdout).toBe(`/marker there\n${outside} missing\n`)
  })

  test('a builder that lives in a chroot gets no step, since `..` would lead out of it', async () => {
    mkdirSync(tools.join('system'))
    const enter = `mount --rbind / ${tools.join('system')}; exec chroot ${tools.join('system')} "$@"`
    await using inside = await startMachine('root', {
      wrapper: ['unshare', '-m', 'sh', '-ec', enter, 'enter', ...refuse],
    })
    expect((await inside.run({ run: 'true' })).error).toMatchObject({
      code: 'OCI_RUNTIME_ISOLATION_UNAVAILABLE',
      message: expect.stringContaining('pivot_root'),
    })
  })
})
