import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith } from '@ts-oci/testing'
import type { BuildOptions, BuildResult } from '../build/public-types.ts'
import { buildNeeds, makeBuildWorld, verticesOf, type BuildWorld } from './build.test.helper.ts'

const spec = (library: string): string => `
cdiVersion: "0.7.0"
kind: vendor1.com/device
containerEdits:
  env: [COMMON=1]
devices:
- name: foo
  containerEdits:
    env: [FOO=injected, "PATH=/bin:/opt"]
    deviceNodes:
    - {path: /dev/mine, hostPath: /dev/zero, fileMode: 0640}
    mounts:
    - {hostPath: ${library}, containerPath: /usr/lib/vendor/lib.so, options: [ro, nosuid, nodev, bind]}
    additionalGids: [1234]
- name: bar
  annotations: {org.mobyproject.buildkit.device.autoallow: true}
  containerEdits: {env: [BAR=yes]}
- name: hooked
  containerEdits: {hooks: [{hookName: createContainer, path: /usr/bin/vendor-hook}]}
`

describeWith(buildNeeds, 'RUN --device', () => {
  let world: BuildWorld
  let cdi: string
  beforeAll(async () => {
    world = await makeBuildWorld()
    const files = await world.context('vendor', { 'lib.so': 'a library\n' })
    cdi = await world.context('cdi', { 'vendor1.yaml': spec(`${files}/lib.so`) })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function run(flags: string, command: string, options: BuildOptions = {}): Promise<BuildResult> {
    const context = await world.context('app', { Dockerfile: `FROM $BASE\nENV PATH=/bin\nRUN ${flags} ${command}\n` })
    return world.build(context, { cdiSpecDirs: [cdi], ...options })
  }

  // What the step prints was compared with BuildKit's (v0.31-dev, dfrundevice) for such a file: it is the same.
  test('gives the step variables, nodes, mounts and groups, and leaves none of it in the layer', async () => {
    const dest = world.directory.join('out')
    const command = `(env | grep -E '^(FOO|BAR|COMMON|PATH)=' | sort; id -G; stat -c '%F %a %t:%T' /dev/mine; head -c2 /dev/mine | wc -c; cat /usr/lib/vendor/lib.so; grep ' /usr/lib/vendor/lib.so ' /proc/self/mountinfo | cut -d' ' -f6) > /told`
    await run(
      '--device=vendor1.com/device=foo,required --device=vendor2.com/device=x --device=vendor1.com/device=bar',
      command,
      {
        allow: ['device=vendor1.com/device=foo'],
        outputs: [{ type: 'local', dest }],
      },
    )
    expect(readFileSync(`${dest}/told`, 'utf8')).toBe(
      'BAR=yes\nCOMMON=1\nFOO=injected\nPATH=/bin:/opt\n0 1234\ncharacter special file 640 1:5\n2\na library\nro,nosuid,nodev,relatime\n',
    )
    expect(() => readFileSync(`${dest}/usr/lib/vendor/lib.so`)).toThrow('ENOENT')
  })

  test('a step is the same by whatever name it asks for a device', async () => {
    await run('--device=gpu', 'echo same', { allow: ['device=vendor1.com/device=foo,alias=gpu'] })
    const again = await run('--device=vendor1.com/device=foo', 'echo same', { allow: ['device'] })
    expect(verticesOf(again, 'cached').filter((name) => name.includes('echo same'))).toHaveLength(1)
    const without = await run('', 'echo same')
    expect(verticesOf(without, 'ran').filter((name) => name.includes('echo same'))).toHaveLength(1)
  })

  test.each([
    ['without the right', '--device=vendor1.com/device=foo', [], 'requested by the build but not allowed'],
    [
      'one that is not there',
      '--device=vendor1.com/device=x,required',
      ['device'],
      'required device "vendor1.com/device=x" is not registered',
    ],
    ['one with hooks', '--device=vendor1.com/device=hooked', ['device'], 'createContainer: /usr/bin/vendor-hook'],
  ])('is refused by name: %s', async (_what, flags, allow, message) => {
    await expect(run(flags, 'echo never', { allow })).rejects.toThrow(message)
  })

  test('a right of which nobody knows what it means is refused', async () => {
    await expect(run('', 'true', { allow: ['device=a,size=3'] })).rejects.toMatchObject({
      code: 'OCI_OPTION_INVALID',
      message: 'invalid entitlement device=a,size=3: "size=3"',
    })
  })
})
