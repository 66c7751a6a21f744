import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, temporaryDirectory } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'

const EFAULT = -14
const EBUSY = -16
const EXDEV = -18
const EINVAL = -22
const ENAMETOOLONG = -36
const ENOSYS = -38

const source = fileURLToPath(new URL('../testing/supervise.c', import.meta.url))
const native = fileURLToPath(new URL('../../native/supervisor', import.meta.url))

describeWith(['cc'], 'a supervisor', () => {
  let directory: TemporaryDirectory
  let program: string

  beforeAll(async () => {
    directory = await temporaryDirectory()
    program = directory.join('supervise')
    const sources = readdirSync(native).filter((name) => /^(filter|memory|supervisor)\.c$/.test(name))
    const flags = ['-std=gnu11', '-O1', '-pthread', '-fsanitize=undefined', '-fsanitize-undefined-trap-on-error']
    await checkTool('cc', [...flags, '-o', program, source, ...sources.map((name) => join(native, name))])
  })
  afterAll(async () => directory[Symbol.asyncDispose]())

  async function outcomes(...args: string[]): Promise<Record<string, string>> {
    const output = await checkTool(program, args)
    return Object.fromEntries(
      output
        .trim()
        .split('\n')
        .map((line) => line.split('=') as [string, string]),
    )
  }

  test('answers with a value, an error, a descriptor, memory that it read and wrote, or leaves a call to the kernel', async () => {
    const answers = await outcomes()
    expect(answers).toMatchObject({
      value: '4242',
      kernel: '1',
      text: '6',
      written: 'fedcba',
      'text at the end of a page': '2',
      descriptor: '1',
      'descriptor, closed on exec': '1',
    })
    expect(answers).toMatchObject({
      'text without an end': `${ENAMETOOLONG}`,
      'no address': `${EFAULT}`,
      'address that cannot be written': `${EFAULT}`,
    })
  })

  test('is asked only where the condition on an argument holds, and never by calls of another ABI', async () => {
    expect(await outcomes()).toMatchObject({
      equal: `${EXDEV}`,
      other: `${EINVAL}`,
      bit: `${EXDEV}`,
      'no such bit': `${EINVAL}`,
      'without the bit': `${EXDEV}`,
      'with the bit': `${EINVAL}`,
      'equal in the mask': `${EXDEV}`,
      'other in the mask': `${EINVAL}`,
      ...(process.arch === 'x64' ? { x32: `${ENOSYS}`, i386: 'not asked' } : {}),
    })
  })

  test('has no second one below it: a chain of filters has one listener', async () => {
    expect(await outcomes()).toMatchObject({ 'second listener': `${EBUSY}` })
  })

  test('waits for its own end when nobody is left who could ask', async () => {
    expect(await outcomes('end')).toMatchObject({ value: '4242', busy: '0' })
  })

  test('survives random arguments, memory that other threads change and processes killed in a call', async () => {
    const seed = Number(process.env['SUPERVISOR_SEED'] ?? Date.now() % 100_000)
    // A line more would say that the supervisor has ended.
    expect(await outcomes('fuzz', `${seed}`, '2')).toEqual({ value: '4242', 'second listener': `${EBUSY}` })
  })
})
