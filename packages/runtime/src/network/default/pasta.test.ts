import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { checkTool, describeWith, until } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../../testing/machine.test.helper.ts'
import type { Machine, StepResult } from '../../testing/machine.test.helper.ts'
import {
  MACHINE_ADDRESS,
  OUTSIDE_ADDRESS,
  networkNeeds,
  openTestNetwork,
  serve,
  serveName,
} from '../../testing/network.test.helper.ts'
import type { TestNetwork } from '../../testing/network.test.helper.ts'

const needs = [...requirementsOf.subordinate, ...networkNeeds, 'mount', 'mknod', 'cc', 'pasta']

/** A command that runs what follows it after a shell's line, in a mount namespace of its own. */
const after = (line: string): readonly string[] => ['unshare', '-m', 'sh', '-ec', `${line}; exec "$@"`, 'after']

/** A /dev/net/tun as most machines have it: everybody may open it. */
const openTunnel = after('mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200')

async function compileTalk({ directory }: Machine): Promise<string> {
  mkdirSync(directory.join('tools', 'bin'), { recursive: true })
  const source = fileURLToPath(new URL('../../testing/talk.c', import.meta.url))
  await checkTool('cc', ['-static', '-O1', '-o', directory.join('tools', 'bin', 'talk'), source])
  return directory.join('tools')
}

for (const who of ['subordinate', 'single', 'root-userns', 'container'] as const) {
  describeWith(needs, `the default network of a user, ids: ${who}`, () => {
    let network: TestNetwork
    let machine: Machine
    let tools: string
    const run = (command: string): Promise<StepResult> =>
      machine.run({ run: command, network: 'default', layers: [tools] })
    beforeAll(async () => {
      network = await openTestNetwork()
      machine = await startMachine(who, { wrapper: [...network.onMachine, ...openTunnel] })
      tools = await compileTalk(machine)
    })
    afterAll(async () => {
      await machine[Symbol.asyncDispose]()
      await network[Symbol.asyncDispose]()
    })

    test('is led outside by pasta', async () => {
      expect(await machine.network('default')).toEqual({ kind: 'pasta' })
    })

    test('a step reaches outside, where it has the address of the machine', async () => {
      await using _ = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8080, text: 'outside' })
      expect((await run(`talk get ${OUTSIDE_ADDRESS} 8080`)).output).toBe(`outside sees ${MACHINE_ADDRESS}\n`)
    })

    test('is led outside anew for the next step where pasta has ended', async () => {
      await using _ = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8081, text: 'outside' })
      const get = `talk get ${OUTSIDE_ADDRESS} 8081`
      expect((await run(get)).output).toContain('outside sees')
      const first = pastaOf(machine.child.pid!)
      expect(first).toHaveLength(1)
      process.kill(first[0]!, 'SIGKILL')
      await until(() => pastaOf(machine.child.pid!).length === 0)
      expect((await run(get)).output).toContain('outside sees')
      expect(pastaOf(machine.child.pid!)).not.toEqual(first)
    })

    test("a step reaches the machine's address, and not what serves on its loopback alone", async () => {
      await using _one = await serve(network.onMachine, { address: MACHINE_ADDRESS, port: 8080, text: 'machine' })
      await using _two = await serve(network.onMachine, { address: '127.0.0.1', port: 8081, text: 'loopback' })
      expect((await run(`talk get ${MACHINE_ADDRESS} 8080`)).output).toContain('machine sees')
      const gateways = await run('ip route | sed -n "s/default via \\([0-9.]*\\) .*/\\1/p"')
      const gateway = gateways.output.trim()
      expect(gateway).toMatch(/^10\.213\./)
      const [first, second] = gateway.split('.')
      const routers = [
        gateway,
        `${first}.${second}.255.249`,
        `${first}.${second}.255.250`,
        `${first}.${second}.255.251`,
      ]
      const tries = ['127.0.0.1', MACHINE_ADDRESS, ...routers].map((address) => `timeout 1 talk get ${address} 8081 &`)
      expect((await run(`${tries.join(' ')} wait; echo tried`)).output).toMatch(/^(?!.*loopback sees).*tried\n$/s)
    })

    test('it has the capabilities of a step of Docker', async () => {
      expect((await run('grep CapEff /proc/self/status')).output).toBe('CapEff:\t00000000a80425fb\n')
    })

    // There it would take a sysctl, and containers have a /proc/sys that is read-only.
    if (who !== 'container')
      test('it has ports below 1024', async () => {
        const { output } = await run('talk listen 80 & sleep 0.3; talk get 127.0.0.1 80')
        expect(output).toContain('hello')
      })

    if (who === 'subordinate' || who === 'single')
      test('it has raw sockets', async () => {
        expect((await run('ping -c 1 -W 5 127.0.0.1 > /dev/null && echo answered')).output).toBe('answered\n')
      })

    test('steps at once take the same port, and do not reach each other', async () => {
      const address = 'ip -4 -o address show dev eth0 | sed "s/.*inet //; s/[/].*//"'
      const first = run(`talk listen 8000 & ${address}; sleep 3`)
      const second = run(
        `talk listen 8000 & sleep 0.5; own=$(${address}); net=$(echo $own | sed "s/[.]*[0-9]*$//"); ` +
          'for last in $(seq 2 4 254); do talk get $net.$last 8000 | grep -q hello && echo reached $net.$last & done; sleep 2; echo $own',
      )
      const [one, two] = await Promise.all([first, second])
      const neighbour = /^10\.213\.\d+\.\d+$/m.exec(one.output)?.[0]
      const own = two.output.trim().split('\n').at(-1)
      // What is tried must have been the other's, too.
      expect(neighbour).not.toBe(own)
      expect(neighbour?.replace(/\.\d+$/, '')).toBe(own?.replace(/\.\d+$/, ''))
      expect(two.output.split('\n').filter((line) => line.startsWith('reached'))).toEqual([`reached ${own}`])
    })

    test('no step sees pasta', async () => {
      expect((await run('cat /proc/[0-9]*/comm')).output).not.toContain('pasta')
    })
  })
}

describeWith(needs, 'names in the network of a user', () => {
  test("are answered by the machine's server, which listens on loopback alone", async () => {
    await using network = await openTestNetwork()
    await using _ = await serveName(network.onMachine, {
      address: '127.0.0.53',
      name: 'name.test',
      answer: '192.0.2.55',
    })
    const resolvConf =
      'mount -t tmpfs none /mnt; echo nameserver 127.0.0.53 > /mnt/resolv; mount --bind /mnt/resolv /etc/resolv.conf'
    await using machine = await startMachine('subordinate', {
      wrapper: [...network.onMachine, ...openTunnel, ...after(resolvConf)],
    })
    const { output } = await machine.run({ run: 'nslookup -type=a name.test', network: 'default' })
    expect(output).toContain('192.0.2.55')
  })
})

/** Numbers of the processes named pasta whose parent has that executor's launcher above it. */
function pastaOf(coordinator: number): number[] {
  const parents = new Map<number, { readonly name: string; readonly parent: number }>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const [, name = '', parent = '0'] = /\((.*)\) \S (\d+)/s.exec(text) ?? []
      parents.set(Number(entry), { name, parent: Number(parent) })
    } catch {
      // it has ended
    }
  }
  const isBelow = (pid: number): boolean => {
    const above = parents.get(pid)?.parent ?? 0
    return above === coordinator || (above > 1 && isBelow(above))
  }
  return [...parents].flatMap(([pid, { name }]) => (/^pas(ta|st)/.test(name) && isBelow(pid) ? [pid] : []))
}

describeWith(needs, 'pasta, at the end of its executor', () => {
  for (const victim of ['coordinator', 'executor', 'nobody'] as const) {
    test(`ends too when ${victim} is killed`, async () => {
      await using network = await openTestNetwork()
      const machine = await startMachine('subordinate', { wrapper: [...network.onMachine, ...openTunnel] })
      const running = machine.run({ run: 'echo begun; sleep 20', network: 'default' }).catch(() => {})
      const root = machine.child.pid!
      expect(await machine.network('default')).toEqual({ kind: 'pasta' })
      const pasta = pastaOf(root)
      expect(pasta).toHaveLength(1)
      if (victim === 'nobody') machine.child.stdin!.end()
      else process.kill(victim === 'executor' ? parentOf(pasta[0]!) : coordinatorOf(pasta[0]!), 'SIGKILL')
      await running
      for (let look = 0; look < 200 && isAlive(pasta[0]!); look++) await sleep(20)
      expect(isAlive(pasta[0]!)).toBe(false)
      await machine[Symbol.asyncDispose]()
    })
  }
})

function parentOf(pid: number): number {
  return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1])
}

/** Above pasta: executor, launcher, coordinator. */
function coordinatorOf(pasta: number): number {
  return parentOf(parentOf(parentOf(pasta)))
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')
  } catch {
    return false
  }
}

describeWith(needs, 'where pasta gives no network', () => {
  const cases = [
    [
      'there is no such program',
      'mount --bind /dev/null "$(readlink -f "$(command -v pasta)")"',
      /apt-get install passt/,
    ],
    ['nobody may open /dev/net/tun', 'mount -t tmpfs none /dev/net', /\/dev\/net\/tun/],
    ['the machine has no way outside', 'ip route del default', /pasta: /],
  ] as const
  for (const [name, script, reason] of cases) {
    test(`because ${name}, steps have the machine's, and the notice says why`, async () => {
      await using network = await openTestNetwork()
      await using machine = await startMachine('subordinate', {
        wrapper: [...network.onMachine, ...openTunnel, ...after(script)],
      })
      expect(await machine.network('default')).toEqual({ kind: 'host', notice: expect.stringMatching(reason) })
      const { output } = await machine.run({
        run: 'ip -4 -o address show dev up0; grep CapEff /proc/self/status',
        network: 'default',
      })
      expect(output).toContain(MACHINE_ADDRESS)
      expect(output).toContain('a80401fb')
    })
  }
})
