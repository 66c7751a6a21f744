import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { stepEdits, type StepEdits } from './edits.ts'
import { loadCdiRegistry } from './registry.ts'
import type { CdiRegistry } from './types.ts'

let directory: TemporaryDirectory
beforeEach(async () => {
  directory = await temporaryDirectory('ts-oci-cdi-')
})
afterEach(async () => directory[Symbol.asyncDispose]())

/** Directories of files (name → content), in the order in which they are given. */
async function registryOf(...directories: readonly Readonly<Record<string, string>>[]): Promise<CdiRegistry> {
  const paths = directories.map((files, index) => {
    const path = directory.join(`d${index}`)
    mkdirSync(path)
    for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content)
    return path
  })
  return loadCdiRegistry([...paths, directory.join('not-there')])
}

const withDevice = (edits: string, version = '1.1.0', name = 'one'): string =>
  `cdiVersion: "${version}"\nkind: vendor.com/thing\ndevices:\n- name: ${name}\n  containerEdits: ${edits}\n`

const named = ({ devices }: CdiRegistry): readonly string[] => [...devices.keys()]

describe('devices by the Container Device Interface', () => {
  test('files are read as YAML and as JSON, and no others', async () => {
    const registry = await registryOf({
      'a.yaml': withDevice('{env: [A=1]}'),
      'b.json': JSON.stringify({
        cdiVersion: '0.5.0',
        kind: 'acme.org/gpu',
        devices: [{ name: '0', containerEdits: { env: ['B=2'] } }],
      }),
      'c.txt': withDevice('{env: [C=3]}', '1.1.0', 'three'),
    })
    expect(named(registry)).toEqual(['acme.org/gpu=0', 'vendor.com/thing=one'])
    expect(registry.faults).toEqual([])
  })

  test('a device of a later directory takes the place of an earlier one', async () => {
    const registry = await registryOf(
      { 'a.yaml': withDevice('{env: [FROM=first]}') },
      { 'a.yaml': withDevice('{env: [FROM=second]}') },
    )
    expect(registry.devices.get('vendor.com/thing=one')?.edits.env).toEqual(['FROM=second'])
  })

  test('a device that two files of a directory have is not known', async () => {
    const registry = await registryOf({ 'a.yaml': withDevice('{env: [A=1]}'), 'b.yaml': withDevice('{env: [A=2]}') })
    expect(named(registry)).toEqual([])
    expect(registry.faults.join()).toContain('vendor.com/thing=one stands in')
  })

  test.each([
    [
      'an unknown field',
      withDevice('{env: [A=1], deviceNode: []}'),
      'unknown field devices[0].containerEdits.deviceNode',
    ],
    ['an unknown version', withDevice('{env: [A=1]}', '9.0.0'), 'invalid version "9.0.0"'],
    ['a field that its version does not have', withDevice('{additionalGids: [5]}', '0.6.0'), 'at least v0.7.0'],
    [
      'a host path before 0.5.0',
      withDevice('{deviceNodes: [{path: /dev/a, hostPath: /dev/b}]}', '0.4.0'),
      'at least v0.5.0',
    ],
    [
      'interfaces before 1.1.0',
      withDevice('{netDevices: [{hostInterfaceName: a, name: b}]}', '1.0.0'),
      'at least v1.1.0',
    ],
    ['a variable without a name', withDevice('{env: ["=1"]}'), 'invalid environment variable'],
    ['a name that ends in a dash', withDevice('{env: [A=1]}', '1.1.0', 'one-'), 'invalid device name'],
    ['a device that edits nothing', withDevice('{}'), 'edits nothing'],
    [
      'permissions that there are not',
      withDevice('{deviceNodes: [{path: /dev/a, permissions: rx}]}'),
      'invalid permissions',
    ],
    ['a hook that there is not', withDevice('{hooks: [{hookName: onSunday, path: /a}]}'), 'invalid hook name'],
    ['no YAML', '{', 'is not read'],
    ['nothing', '', 'it is empty'],
    [
      'aliases without end',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(9)}]`)
        .join('\n')}\n`,
      'alias',
    ],
  ])('a file with %s is not read, and it is said why', async (_what, content, why) => {
    const registry = await registryOf({ 'a.yaml': content })
    expect(named(registry)).toEqual([])
    expect(registry.faults.join()).toContain(why)
  })

  test('annotations of a file are those of its devices, which may say otherwise', async () => {
    const registry = await registryOf({
      'a.yaml':
        'cdiVersion: 0.6.0\nkind: vendor.com/thing\nannotations: {a: true, b: file}\ndevices:\n- name: one\n  annotations: {b: device}\n  containerEdits: {env: [A=1]}\n',
    })
    expect(registry.devices.get('vendor.com/thing=one')?.annotations).toEqual({ a: 'true', b: 'device' })
  })
})

describe('what devices bring to a step', () => {
  const user = { uid: 1000, gid: 100 }
  const edits = async (text: string): Promise<StepEdits> => {
    const { devices, faults } = await registryOf({ 'a.yaml': text })
    expect(faults).toEqual([])
    return stepEdits([...devices.values()], user)
  }

  test('what a node does not say of itself is that of the machine', async () => {
    const { devices } = await edits(
      withDevice('{deviceNodes: [{path: /dev/mine, hostPath: /dev/null, permissions: r}]}'),
    )
    expect(devices).toEqual([
      {
        path: '/dev/mine',
        hostPath: '/dev/null',
        type: 'c',
        major: 1,
        minor: 3,
        fileMode: 0o666,
        uid: 1000,
        gid: 100,
        access: { read: true, write: false },
      },
    ])
  })

  test('a node that says all of it needs none on the machine; modes are octal, as in YAML 1.1', async () => {
    const text = '{deviceNodes: [{path: /dev/x, type: b, major: 240, minor: 3, fileMode: 0640, uid: 0, gid: 7}]}'
    expect((await edits(withDevice(text))).devices).toEqual([
      {
        path: '/dev/x',
        hostPath: '/dev/x',
        type: 'b',
        major: 240,
        minor: 3,
        fileMode: 0o640,
        uid: 0,
        gid: 7,
        access: { read: true, write: true },
      },
    ])
  })

  test('what the file says comes once, before what its devices say', async () => {
    const text = `cdiVersion: "0.7.0"\nkind: v.com/c\ncontainerEdits: {env: [ALL=1], additionalGids: [0, 9]}\ndevices:\n- {name: a, containerEdits: {env: [A=1], additionalGids: [9, 8]}}\n- {name: b, containerEdits: {env: [B=1]}}\n`
    expect(await edits(text)).toMatchObject({ env: ['ALL=1', 'A=1', 'B=1'], additionalGids: [9, 8] })
  })

  test('mounts are binds and tmpfs, with the flags of the runtime specification', async () => {
    const text =
      '{mounts: [{hostPath: /a, containerPath: /b, options: [ro, nosuid, nodev, rbind, rprivate]}, {hostPath: t, containerPath: /t, type: tmpfs, options: [noexec, size=4096, mode=0700]}]}'
    expect((await edits(withDevice(text))).mounts).toEqual([
      { source: { kind: 'bind', hostPath: '/a' }, target: '/b', readonly: true, refuses: ['suid', 'dev'] },
      { source: { kind: 'tmpfs', sizeBytes: 4096, mode: 0o700 }, target: '/t', readonly: false, refuses: ['exec'] },
    ])
  })

  test.each([
    [
      'hooks',
      '{hooks: [{hookName: createContainer, path: /usr/bin/x-hook}]}',
      'hooks), which no step is given: createContainer: /usr/bin/x-hook',
    ],
    ['network interfaces', '{netDevices: [{hostInterfaceName: a, name: b}]}', '(netDevices)'],
    ['shares of caches', '{intelRdt: {closID: a}}', '(intelRdt)'],
    ['a shared mount', '{mounts: [{hostPath: /a, containerPath: /b, options: [bind, rshared]}]}', 'option rshared'],
    ['a mount of another kind', '{mounts: [{hostPath: /a, containerPath: /b, type: ext4}]}', 'type ext4'],
    [
      'a device that is not there',
      '{deviceNodes: [{path: /dev/not-there}]}',
      'failed to stat CDI host device "/dev/not-there"',
    ],
    ['a device of another type', '{deviceNodes: [{path: /dev/null, type: b}]}', 'host type mismatch (b, c)'],
  ])('%s is refused by name', async (_what, text, message) => {
    await expect(edits(withDevice(text))).rejects.toThrow(message)
  })
})
