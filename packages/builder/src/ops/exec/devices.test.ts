import type { CdiDevice } from '@ts-oci/runtime'
import { describe, expect, test } from '@jest/globals'
import { createVertex } from '../../graph/vertex.ts'
import type { DeviceRights } from '../environment.ts'
import { findStepDevices } from './devices.ts'

const vertex = createVertex({ kind: 'source', identifier: 'docker-image://x', attrs: {} }, [], {
  metadata: { name: 'x' },
})

/** Of BuildKit's tests (solver/llbsolver/cdidevices/fixtures): four of one kind, one of another, one with a class. */
const annotations: Readonly<Record<string, Record<string, string>>> = {
  'vendor1.com/device=foo': {},
  'vendor1.com/deviceclass=bar': { 'org.mobyproject.buildkit.device.class': 'class1' },
  'vendor1.com/deviceclass=baz': { 'org.mobyproject.buildkit.device.class': 'class1' },
  'vendor1.com/deviceclass=foo': { 'org.mobyproject.buildkit.device.class': 'class1' },
  'vendor1.com/deviceclass=qux': { 'org.mobyproject.buildkit.device.class': 'class2' },
  'vendor1.com/devicemulti=free': { 'org.mobyproject.buildkit.device.autoallow': 'true' },
  'vendor1.com/devicemulti=not': { 'org.mobyproject.buildkit.device.autoallow': 'yes' },
}

const devices = new Map<string, CdiDevice>(
  Object.entries(annotations).map(([name, of]) => [
    name,
    { name, annotations: of, edits: {}, spec: { path: '/etc/cdi/x.yaml', edits: {} } },
  ]),
)

async function find(allow: Partial<DeviceRights>, ...requests: readonly string[]): Promise<readonly string[]> {
  const rights = { all: false, names: new Map(), registry: async () => ({ devices, faults: [] }), ...allow }
  const asked = requests.map((text) => ({ name: text.replace('?', ''), optional: text.endsWith('?') }))
  return (await findStepDevices(rights, vertex, asked)).found.map(({ name }) => name)
}

describe('devices of a step', () => {
  // As BuildKit's manager_test.go has them.
  test.each([
    ['by its name', ['vendor1.com/deviceclass=foo'], ['vendor1.com/deviceclass=foo']],
    ['the first of a kind', ['vendor1.com/deviceclass'], ['vendor1.com/deviceclass=bar']],
    ['all of a kind', ['vendor1.com/devicemulti=*'], ['vendor1.com/devicemulti=free', 'vendor1.com/devicemulti=not']],
    ['those of a class', ['class1'], ['bar', 'baz', 'foo'].map((name) => `vendor1.com/deviceclass=${name}`)],
    ['each once', ['class2', 'vendor1.com/deviceclass=qux'], ['vendor1.com/deviceclass=qux']],
    ['none where it may be missing', ['vendor1.com/nothing?', 'x=y?'], []],
  ])('are found: %s', async (_how, asked, found) => {
    expect(await find({ all: true }, ...asked)).toEqual(found)
  })

  test('one that is required and not there is an error that tells which are', async () => {
    await expect(find({ all: true }, 'vendor9.com/none')).rejects.toMatchObject({
      message: 'failed to load LLB: required device "vendor9.com/none" is not registered',
      hint: expect.stringContaining('vendor1.com/device=foo'),
    })
  })

  test('without a right only those that allow themselves are given', async () => {
    expect(await find({}, 'vendor1.com/devicemulti=free')).toEqual(['vendor1.com/devicemulti=free'])
    await expect(find({}, 'vendor1.com/device=foo')).rejects.toMatchObject({
      code: 'OCI_STEP_UNSUPPORTED',
      message: 'failed to load LLB: device vendor1.com/device=foo is requested by the build but not allowed',
      hint: 'give --allow device, or --allow device=vendor1.com/device=foo',
    })
    await expect(find({}, 'vendor1.com/devicemulti=*', 'class2')).rejects.toThrow(
      'devices vendor1.com/devicemulti=not, vendor1.com/deviceclass=qux are requested by the build but not allowed',
    )
  })

  test('a right for a kind or a class is one for what that finds', async () => {
    const names = new Map([['class1', undefined]])
    expect(await find({ names }, 'vendor1.com/deviceclass=baz')).toEqual(['vendor1.com/deviceclass=baz'])
    await expect(find({ names }, 'vendor1.com/deviceclass=qux')).rejects.toThrow('not allowed')
  })

  test('an alias is another name for a device, and the right to it', async () => {
    const names = new Map([['gpu', 'vendor1.com/device=foo']])
    expect(await find({ names }, 'gpu')).toEqual(['vendor1.com/device=foo'])
  })
})
