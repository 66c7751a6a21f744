import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { Machine } from '../testing/machine.test.helper.ts'

describeWith(requirementsOf.single, 'the owners of a step that has one user id', () => {
  let machine: Machine
  beforeAll(async () => {
    machine = await startMachine('single')
  })
  afterAll(async () => machine[Symbol.asyncDispose]())

  async function lines(run: string, user: { uid?: number; gid?: number; groups?: number[] } = {}): Promise<string[]> {
    const { stdout, stderr, error } = await machine.run({ run, ...user })
    expect({ stderr, error }).toEqual({ stderr: '', error: undefined })
    return stdout.trim().split('\n')
  }

  test('a file is given away, and shows it by name, descriptor and through a link', async () => {
    expect(
      await lines(
        `echo > /f; mkdir /d; ln -s f /l; chown 1000:1001 /f; chown 5:6 /d; chown -h 7:8 /l
        stat -c %u:%g /f; stat -c %u:%g /d; stat -c %u:%g /l; stat -L -c %u:%g /l; cd /d; stat -c %u:%g .; chown :9 .; stat -c %u:%g .`,
      ),
    ).toEqual(['1000:1001', '5:6', '7:8', '1000:1001', '5:6', '5:9'])
  })
})
