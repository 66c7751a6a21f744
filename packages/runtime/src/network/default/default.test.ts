import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { checkTool, describeWith } from '@ts-oci/testing'
import { requirementsOf, startMachine } from '../../testing/machine.test.helper.ts'
import type { Machine, StepResult } from '../../testing/machine.test.helper.ts'
import {
  MACHINE_ADDRESS,
  OUTSIDE_ADDRESS,
  networkNeeds,
  openTestNetwork,
  serve,
} from '../../testing/network.test.helper.ts'
import type { TestNetwork } from '../../testing/network.test.helper.ts'

const programs = ['forge', 'talk'] as const
const needs = [...requirementsOf.root, ...networkNeeds, 'cc']

const links = 'ip -o link | grep -c ": tsb" || true'
const tables = 'nft list tables | grep -c tsbuild || true'

/** Namespaces end a moment after their last process. */
async function nothingIsLeft(network: TestNetwork): Promise<void> {
  for (let look = 0; look < 200; look++) {
    if ((await network.sh(`${links}; ${tables}`)) === '0\n0\n') return
    await sleep(20)
  }
  expect(await network.sh('ip -o link; nft list tables')).toBe('')
}

/** A layer with them. */
async function compilePrograms({ directory }: Machine): Promise<string> {
  mkdirSync(directory.join('tools', 'bin'), { recursive: true })
  for (const name of programs) {
    const source = fileURLToPath(new URL(`../../testing/${name}.c`, import.meta.url))
    await checkTool('cc', ['-static', '-O1', '-o', directory.join('tools', 'bin', name), source])
  }
  return directory.join('tools')
}

describeWith(needs, 'the default network as root', () => {
  let network: TestNetwork
  let machine: Machine
  let tools: string
  const run = (command: string): Promise<StepResult> =>
    machine.run({ run: command, network: 'default', layers: [tools] })
  beforeAll(async () => {
    network = await openTestNetwork()
    machine = await startMachine('root', { wrapper: network.onMachine })
    tools = await compilePrograms(machine)
  })
  afterAll(async () => {
    await machine[Symbol.asyncDispose]()
    await network[Symbol.asyncDispose]()
  })

  test('a step reaches outside, where it has the address of the machine', async () => {
    await using _ = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8080, text: 'outside' })
    expect((await run(`talk get ${OUTSIDE_ADDRESS} 8080`)).output).toBe(`outside sees ${MACHINE_ADDRESS}\n`)
  })

  test("a step reaches the machine's address, and not what serves on its loopback alone", async () => {
    await using _one = await serve(network.onMachine, { address: MACHINE_ADDRESS, port: 8080, text: 'machine' })
    await using _two = await serve(network.onMachine, { address: '127.0.0.1', port: 8081, text: 'loopback' })
    expect((await run(`talk get ${MACHINE_ADDRESS} 8080`)).output).toMatch(/^machine sees 10\.213\./)
    for (const address of ['127.0.0.1', MACHINE_ADDRESS])
      expect((await run(`talk get ${address} 8081`)).output).toContain('refused')
  })

  // CVE-2020-8558.
  test('not even where the machine routes what is for loopback, as kube-proxy sets it', async () => {
    await network.sh('echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet')
    await using _ = await serve(network.onMachine, { address: '127.0.0.1', port: 8082, text: 'loopback' })
    const setup =
      'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip route del local 127.0.0.1 table local; ip route del local 127.0.0.0/8 table local; ' +
      'ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via $(ip route | sed -n "s/default via \\([^ ]*\\).*/\\1/p")'
    const { output } = await machine.run({
      run: `${setup}; ip route get 127.0.0.1 | grep -o eth0; talk get 127.0.0.1 8082; talk get ${MACHINE_ADDRESS} 8082`,
      network: 'default',
      security: 'insecure',
      layers: [tools],
    })
    await network.sh('echo 0 > /proc/sys/net/ipv4/conf/all/route_localnet')
    // The first waits for an answer that nobody gives; the second says that its own way is in order.
    expect(output).toMatch(/eth0\n(Operation now in progress|Connection timed out|Resource .*)\nConnection refused\n$/)
  })

  test('it has raw sockets and ports below 1024, as a step of Docker', async () => {
    const { output } = await run(
      `ping -c 1 -W 5 ${OUTSIDE_ADDRESS} > /dev/null && echo answered; grep CapEff /proc/self/status`,
    )
    expect(output).toBe('answered\nCapEff:\t00000000a80425fb\n')
  })

  // What the kernel chose, udev exchanges (MACAddressPolicy=persistent): a step that has heard of the first then sends into nothing.
  test("the hardware address of the machine's end is given, by the address of IPv4", async () => {
    const running = run('ip neighbour; ip -o link show dev eth0; sleep 1')
    await sleep(500)
    const ends = [...(await network.sh('ip -o link')).matchAll(/: tsb(\w{8})@.*link\/ether (\S+)/g)]
    expect(ends.length).toBeGreaterThan(0)
    for (const [, address, hardware] of ends) expect(hardware?.replaceAll(':', '')).toBe(`0242${address}`)
    expect((await running).output).toContain('link/ether 02:42:0a:d5:')
  })

  test('steps at once take the same port, and do not reach each other', async () => {
    const listening = 'talk listen 80 & sleep 0.5; ip -4 -o address show dev eth0'
    const first = run(`${listening}; sleep 3`)
    const second = run(
      `${listening} | sed "s/.*inet //; s/[/].*//" > /address; net=$(sed "s/[.]*[0-9]*$//" /address); ` +
        'for last in $(seq 2 4 254); do talk get $net.$last 80 | grep -q hello && echo reached $net.$last & done; sleep 2; cat /address',
    )
    const [one, two] = await Promise.all([first, second])
    const neighbour = /inet (10\.213\.\d+)\./.exec(one.output)?.[1]
    const own = two.output.trim().split('\n').at(-1)
    // What is tried must have been the other's, too.
    expect(own?.startsWith(`${neighbour}.`)).toBe(true)
    expect(two.output.split('\n').filter((line) => line.startsWith('reached'))).toEqual([`reached ${own}`])
  })

  test('a step finds no socket of the one before it, not even a port that waits for its end', async () => {
    for (let step = 0; step < 3; step++) expect((await run('talk wait 7000')).output).toBe('waiting\n')
    expect((await run('cat /proc/net/tcp /proc/net/unix | wc -l')).output).toBe('2\n')
  })

  test('an answer that comes late does not reach the step after the one that asked', async () => {
    await using server = await serve(network.outside, {
      address: OUTSIDE_ADDRESS,
      port: 7001,
      text: 'late',
      answers: 20,
    })
    expect((await run(`talk send ${OUTSIDE_ADDRESS} 7001`)).output).toBe('sent\n')
    expect((await run('talk hear 7001')).output).toBe('hearing\n')
    expect(server.datagrams()).toBe(`datagram question of ${MACHINE_ADDRESS}\n`)
  })

  test('what an insecure step sets in its network is gone for the next', async () => {
    const set =
      'ip address add 192.0.2.77/32 dev eth0; ip route add 192.0.2.78/32 dev eth0; ip link add dummy7 type veth; echo set'
    expect((await machine.run({ run: set, network: 'default', security: 'insecure' })).output).toBe('set\n')
    const { output } = await run('ip address; ip route')
    expect(output).not.toMatch(/192\.0\.2|dummy7/)
    expect(output).toContain('default via')
  })

  test('what it sends under a forged address arrives nowhere', async () => {
    await using outside = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8090, text: '' })
    await using host = await serve(network.onMachine, { address: MACHINE_ADDRESS, port: 8091, text: '' })
    const own = '$(ip -4 -o address show dev eth0 | sed "s/.*inet //; s/[/].*//")'
    const { output } = await run(
      `forge datagram 203.0.113.77 ${OUTSIDE_ADDRESS} 8090; forge datagram 10.213.0.2 ${MACHINE_ADDRESS} 8091; forge datagram 127.0.0.1 ${MACHINE_ADDRESS} 8091;` +
        ` forge datagram ${own} ${OUTSIDE_ADDRESS} 8090; forge datagram ${own} ${MACHINE_ADDRESS} 8091; sleep 0.3`,
    )
    expect(output).toBe('sent\nsent\nsent\nsent\nsent\n')
    expect(outside.datagrams()).toBe(`datagram forged of ${MACHINE_ADDRESS}\n`)
    expect(host.datagrams()).toMatch(/^datagram forged of 10\.213\.\d+\.\d+\n$/)
  })

  // CVE-2020-13401.
  test('the machine takes no route and no address that it advertises, and no owner of an address', async () => {
    const before = await network.sh('ip -6 route; ip -6 -o address; ip neighbour show dev up0')
    const { output } = await run(`forge advertise; forge answer ${OUTSIDE_ADDRESS}; sleep 0.3`)
    expect(output).toBe('sent\nsent\n')
    const after = await network.sh('ip -6 route; ip -6 -o address; ip neighbour show dev up0')
    expect(after).not.toMatch(/2001:db8:bad|02:ba:0d:ba:0d:01/)
    expect(after.replace(/ (STALE|REACHABLE|DELAY|PROBE)/g, '')).toBe(
      before.replace(/ (STALE|REACHABLE|DELAY|PROBE)/g, ''),
    )
  })
})

describeWith(needs, 'the default network, at its end', () => {
  for (const victim of ['coordinator', 'launcher', 'executor', 'nobody'] as const) {
    test(`leaves no link and no table when ${victim} is killed`, async () => {
      await using network = await openTestNetwork()
      const machine = await startMachine('root', { wrapper: network.onMachine })
      const running = machine.run({ run: 'echo begun; sleep 20', network: 'default' }).catch(() => {})
      while ((await network.sh(links)) === '0\n') await sleep(10)
      expect(await network.sh(tables)).toBe('1\n')
      if (victim === 'nobody') machine.child.stdin!.end()
      else process.kill(await pidOf(victim, machine.child.pid!), 'SIGKILL')
      await running
      await nothingIsLeft(network)
      await machine[Symbol.asyncDispose]()
    })
  }
})

async function withMachine<Result>(network: TestNetwork, use: (machine: Machine) => Promise<Result>): Promise<Result> {
  await using machine = await startMachine('root', { wrapper: [...network.onMachine, ...withoutPasta] })
  return await use(machine)
}

async function pidOf(victim: 'coordinator' | 'launcher' | 'executor', coordinator: number): Promise<number> {
  const child = async (pid: number): Promise<number> =>
    Number((await checkTool('ps', ['-o', 'pid=', '--ppid', String(pid)])).trim().split('\n')[0])
  if (victim === 'coordinator') return coordinator
  const launcher = await child(coordinator)
  return victim === 'launcher' ? launcher : child(launcher)
}

describeWith(needs, 'the default network of a machine', () => {
  test('that deletes its ends between two steps is made anew', async () => {
    await using network = await openTestNetwork()
    await using machine = await startMachine('root', { wrapper: network.onMachine })
    await machine.run({ run: 'true', network: 'default' })
    await network.sh('ip -o link | grep -o "tsb[0-9a-f]*" | while read link; do ip link del $link; done')
    expect((await machine.run({ run: 'ip -o link | grep -c eth0', network: 'default' })).output).toBe('1\n')
  })
})

describeWith(needs, 'the default network of several executors', () => {
  test('is made for each of those that begin at once: their tables do not hide the way from each other', async () => {
    await using network = await openTestNetwork()
    const machines = await Promise.all(
      Array.from({ length: 8 }, () => startMachine('root', { wrapper: network.onMachine })),
    )
    try {
      const opened = await Promise.all(machines.map((machine) => machine.network('default')))
      expect(opened).toEqual(machines.map(() => ({ kind: 'nat' })))
    } finally {
      for (const machine of machines) await machine[Symbol.asyncDispose]()
    }
  })
})

/** A command that runs what follows it where there is no pasta. */
const withoutPasta: readonly string[] = [
  'unshare',
  '-m',
  'sh',
  '-ec',
  'if pasta=$(command -v pasta); then mount --bind /dev/null "$pasta"; fi; exec "$@"',
  'without-pasta',
]

describeWith(needs, 'where no network can be made', () => {
  const cases = [
    ['the machine forwards nothing', 'echo 0 > /proc/sys/net/ipv4/ip_forward', 'net.ipv4.ip_forward is 0'],
    [
      'a table drops what is forwarded',
      'nft add table ip filter; nft add chain ip filter FORWARD "{ type filter hook forward priority 0; policy drop; }"',
      'what is forwarded is dropped by chain FORWARD of table ip filter',
    ],
    [
      'every range of addresses is taken',
      'for range in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15; do ip route add $range via 203.0.113.1; done',
      'every range of addresses',
    ],
    [
      'a table drops what is forwarded, with a way to another network alone',
      'ip route del default; ip route add 198.18.7.0/24 via 203.0.113.1; nft add table ip filter; nft add chain ip filter FORWARD "{ type filter hook forward priority 0; policy drop; }"',
      'what is forwarded is dropped by chain FORWARD of table ip filter',
    ],
    [
      'it reaches outside by IPv6 alone',
      'ip route del default; ip -6 address add fd00:7::2/64 dev up0 nodad; ip -6 route add default via fd00:7::1',
      'this machine reaches outside by IPv6 alone',
    ],
    [
      'a rule leads answers elsewhere',
      'ip rule add pref 100 lookup 100; ip route add default via 203.0.113.1 table 100',
      'lead elsewhere what is for steps',
    ],
  ] as const
  for (const [name, script, reason] of cases) {
    test(`because ${name}, steps have the machine's, and the notice says why`, async () => {
      await using network = await openTestNetwork()
      await network.sh(script)
      await using machine = await startMachine('root', { wrapper: [...network.onMachine, ...withoutPasta] })
      expect(await machine.network('default')).toEqual({ kind: 'host', notice: expect.stringContaining(reason) })
      const { output } = await machine.run({
        run: 'ip -4 -o address show dev up0; grep CapEff /proc/self/status',
        network: 'default',
      })
      expect(output).toContain(MACHINE_ADDRESS)
      expect(output).toContain('a80401fb')
      await nothingIsLeft(network)
    })
  }

  const obstacles = [
    [
      'of a machine that forwards nothing',
      'echo 0 > /proc/sys/net/ipv4/ip_forward',
      ['sysctl -w net.ipv4.ip_forward=1'],
    ],
    [
      'of an uplink that does not',
      'echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding',
      ['sysctl -w net/ipv4/conf/up0/forwarding=1'],
    ],
    ['of the policy of iptables', 'iptables -P FORWARD DROP', ['iptables -I FORWARD -i tsb+']],
    [
      'of the policy of Docker',
      'iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -P FORWARD DROP',
      ['iptables -I DOCKER-USER -i tsb+'],
    ],
    [
      'of the policies of two tables',
      'iptables -P FORWARD DROP; nft add table inet own; nft add chain inet own between "{ type filter hook forward priority 5; policy drop; }"',
      ['iptables -I FORWARD -i tsb+', "nft insert rule inet own between iifname 'tsb*'"],
    ],
  ] as const
  test('because of firewalld, the notice has its own command', async () => {
    await using network = await openTestNetwork()
    // What `nft list chain inet firewalld filter_FORWARD` shows of firewalld 1.3.3 with its default zone, in short.
    await network.sh(
      'nft add table inet firewalld; nft add chain inet firewalld filter_FORWARD "{ type filter hook forward priority filter + 10; policy accept; }"; ' +
        'nft add rule inet firewalld filter_FORWARD ct state established,related accept; nft add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited',
    )
    await using machine = await startMachine('root', { wrapper: [...network.onMachine, ...withoutPasta] })
    const { kind, notice } = await machine.network('default')
    expect(kind).toBe('host')
    expect(notice).toMatch(/gives them one of their own: firewall-cmd --zone=trusted --add-interface=tsb\+$/)
  })

  describeWith(['iptables', 'sysctl'], 'because', () => {
    for (const [name, script, lines] of obstacles) {
      test(`${name}, the notice has the line that gives them one`, async () => {
        await using network = await openTestNetwork()
        await network.sh(script)
        const notice = await withMachine(network, async (machine) => (await machine.network('default')).notice)
        for (const line of lines) expect(notice).toContain(line)
        await network.sh(notice!.replace(/.*gives them one of their own: /, ''))
        await using _ = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8080, text: 'outside' })
        const reached = await withMachine(network, async (machine) => {
          expect(await machine.network('default')).toEqual({ kind: 'nat' })
          return machine.run({ run: `wget -qO - http://${OUTSIDE_ADDRESS}:8080`, network: 'default' })
        })
        expect(reached.output).toBe(`outside sees ${MACHINE_ADDRESS}\n`)
      })
    }
  })

  test('a range that a route leads to is left to it', async () => {
    await using network = await openTestNetwork()
    await network.sh('ip route add 10.0.0.0/8 via 203.0.113.1')
    await using machine = await startMachine('root', { wrapper: [...network.onMachine, ...withoutPasta] })
    const { output } = await machine.run({ run: 'ip -4 -o address show dev eth0', network: 'default' })
    expect(output).toMatch(/inet 172\.16\.2(0[89]|1\d|2[0-3])\./)
  })

  test('two routes for half of all addresses each are a way outside, as a VPN makes them', async () => {
    await using network = await openTestNetwork()
    await network.sh(
      'ip route del default; ip link set up0 mtu 1400; for half in 0.0.0.0/1 128.0.0.0/1; do ip route add $half via 203.0.113.1; done',
    )
    await using machine = await startMachine('root', { wrapper: [...network.onMachine, ...withoutPasta] })
    const { output } = await machine.run({ run: 'ip link show dev eth0', network: 'default' })
    expect(output).toContain('mtu 1400')
  })
})

describeWith([...needs, 'pasta', 'nft'], 'where the machine does not route, and there is pasta', () => {
  const drop =
    'nft add table ip filter; nft add chain ip filter FORWARD "{ type filter hook forward priority 0; policy drop; }"'
  for (const script of ['echo 0 > /proc/sys/net/ipv4/ip_forward', drop])
    test(`a step of root's has a network of its own, through it: ${script}`, async () => {
      await using network = await openTestNetwork()
      await network.sh(script)
      const before = await network.sh('cat /proc/sys/net/ipv4/ip_forward; nft list ruleset')
      {
        await using machine = await startMachine('root', { wrapper: network.onMachine })
        expect(await machine.network('default')).toEqual({ kind: 'pasta' })
        const layers = [await compilePrograms(machine)]
        await using _ = await serve(network.outside, { address: OUTSIDE_ADDRESS, port: 8080, text: 'outside' })
        const get = { run: `talk get ${OUTSIDE_ADDRESS} 8080`, network: 'default', layers } as const
        expect((await machine.run(get)).output).toBe(`outside sees ${MACHINE_ADDRESS}\n`)
        // What pasta may open no step may, and its capabilities are those of any network of its own.
        const run =
          'mknod /tun c 10 200; (: < /tun) 2>/dev/null && echo opened; grep CapEff /proc/self/status; ip -o link | grep -c eth0'
        expect((await machine.run({ run, network: 'default' })).output).toBe('CapEff:\t00000000a80425fb\n1\n')
        expect(await network.sh('cat /proc/sys/net/ipv4/ip_forward; nft list ruleset')).toBe(before)
      }
      await nothingIsLeft(network)
    })
})
