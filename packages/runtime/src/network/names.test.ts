import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, temporaryDirectory } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../testing/machine.test.helper.ts'
import type { StepResult } from '../testing/machine.test.helper.ts'
import {
  MACHINE_ADDRESS,
  OUTSIDE_ADDRESS,
  networkNeeds,
  openTestNetwork,
  serveName,
  withFiles,
} from '../testing/network.test.helper.ts'
import type { TestNetwork } from '../testing/network.test.helper.ts'
import type { NetworkName } from './list.ts'

const known = { name: 'known.example', answer: '192.0.2.99' }
const show = 'cat /etc/resolv.conf'
const ask = `nslookup -type=a known.example 2>&1; ${show}`

describeWith([...requirementsOf.root, ...networkNeeds, 'mount'], 'names', () => {
  let network: TestNetwork
  let directory: TemporaryDirectory
  beforeAll(async () => {
    network = await openTestNetwork()
    directory = await temporaryDirectory('ts-oci-names-')
  })
  afterAll(async () => {
    await network[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  /** What a step on a machine with these files prints. */
  async function askOn(
    files: Readonly<Record<string, string>>,
    name: NetworkName,
    command = ask,
  ): Promise<StepResult & { kind: string; notice?: string }> {
    await using machine = await startMachine('root', { wrapper: withFiles(network.onMachine, directory, files) })
    const opened = await machine.network(name)
    return { ...(await machine.run({ run: command, network: name })), ...opened }
  }

  for (const [where, address] of [
    ["at the machine's own address", MACHINE_ADDRESS],
    ['outside', OUTSIDE_ADDRESS],
  ] as const) {
    test(`are asked of a server ${where}`, async () => {
      const place = address === MACHINE_ADDRESS ? network.onMachine : network.outside
      await using _ = await serveName(place, { address, ...known })
      const step = await askOn({ '/etc/resolv.conf': `nameserver ${address}\n` }, 'default')
      expect(step.kind).toBe('nat')
      expect(step.output).toContain('192.0.2.99')
    })
  }

  test("are asked of the server on the machine's loopback with the machine's network, and of none without one", async () => {
    await using _ = await serveName(network.onMachine, { address: '127.0.0.1', ...known })
    const files = { '/etc/resolv.conf': 'nameserver 127.0.0.1\n' }
    expect((await askOn(files, 'host')).output).toContain('192.0.2.99')
    expect((await askOn(files, 'none')).output).not.toContain('192.0.2.99')
    expect((await askOn(files, 'default', show)).output).toBe('nameserver 8.8.8.8\nnameserver 8.8.4.4\n')
  })

  test('are asked of the servers of systemd-resolved where its stub is the only one', async () => {
    await using _ = await serveName(network.outside, { address: OUTSIDE_ADDRESS, ...known })
    const files = {
      '/etc/resolv.conf': 'nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example\n',
      '/run/systemd/resolve/resolv.conf': `nameserver ${OUTSIDE_ADDRESS}\nsearch example\n`,
    }
    const { output } = await askOn(files, 'default')
    expect(output).toContain('192.0.2.99')
    expect(output).toMatch(/nameserver 203\.0\.113\.1\nsearch example\n$/)
  })

  test("are asked of a container's own server, so steps have the container's network and the notice says why", async () => {
    await using _ = await serveName(network.onMachine, { address: '127.0.0.11', ...known })
    const step = await askOn({ '/etc/resolv.conf': 'nameserver 127.0.0.11\noptions ndots:0\n' }, 'default')
    expect(step.output).toContain('192.0.2.99')
    expect(step).toMatchObject({ kind: 'host', notice: expect.stringContaining('127.0.0.11') })
  })
})
