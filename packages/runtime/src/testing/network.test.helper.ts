/** A network for tests: a machine with one way outside and a host there, so that nothing of this machine's is touched. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkTool, nodeFlags } from '@ts-oci/testing'

/** What it needs besides root. */
export const networkNeeds: readonly string[] = ['unshare', 'nsenter', 'ip', 'nft']

/** The machine's address on its way outside, and that of the host there. */
export const MACHINE_ADDRESS = '203.0.113.2'
export const OUTSIDE_ADDRESS = '203.0.113.1'

export interface TestNetwork extends AsyncDisposable {
  /** A command that runs what follows it on the machine, or on the host outside. */
  readonly onMachine: readonly string[]
  readonly outside: readonly string[]
  /** Output of a shell's command line on the machine. */
  sh(script: string): Promise<string>
}

/** Each lasts as long as the process that holds it, so a test that is killed leaves nothing. */
export async function openTestNetwork(): Promise<TestNetwork> {
  const machine = await holdNamespace()
  const outside = await holdNamespace()
  const enter = ({ pid }: ChildProcess): string[] => ['nsenter', `--net=/proc/${pid}/ns/net`, '--']
  const sh = (holder: ChildProcess, script: string): Promise<string> => {
    const [program = '', ...args] = enter(holder)
    return checkTool(program, [...args, 'sh', '-ec', script])
  }
  await sh(
    machine,
    `ip link add up0 type veth peer name down0 netns ${outside.pid}
    ip link set lo up; ip address add ${MACHINE_ADDRESS}/24 dev up0; ip link set up0 up
    ip route add default via ${OUTSIDE_ADDRESS}; echo 1 > /proc/sys/net/ipv4/ip_forward`,
  )
  await sh(outside, `ip link set lo up; ip address add ${OUTSIDE_ADDRESS}/24 dev down0; ip link set down0 up`)
  return {
    onMachine: enter(machine),
    outside: enter(outside),
    sh: (script) => sh(machine, script),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([endProcess(machine), endProcess(outside)])
    },
  }
}

async function holdNamespace(): Promise<ChildProcess> {
  const child = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] })
  const own = readlinkSync('/proc/self/ns/net')
  while (readlinkSync(`/proc/${child.pid}/ns/net`) === own) await sleep(2)
  return child
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

const serving = `
const [port, address, text, answers] = process.argv.slice(1)
require('node:http').createServer((request, response) => response.end(text + ' sees ' + request.socket.remoteAddress + '\\n'))
  .listen(Number(port), address, () => process.stdout.write('listening\\n'))
const udp = require('node:dgram').createSocket('udp4')
udp.on('message', (bytes, { address }) => process.stdout.write('datagram ' + bytes.toString('latin1') + ' of ' + address + '\\n'))
udp.on('message', (_, { address, port }) => {
  for (let n = 1; n <= Number(answers); n++) setTimeout(() => udp.send(text, port, address), n * 200)
})
udp.bind(Number(port), address)
`

export interface TestServer extends AsyncDisposable {
  /** The datagrams that came so far, a line each. */
  datagrams(): string
}

export interface ServedText {
  readonly address: string
  readonly port: number
  readonly text: string
  /** To each datagram, one every 200 ms. */
  readonly answers?: number
}

/** Answers HTTP with "TEXT sees ADDRESS", and notes datagrams at the same port. */
export async function serve(
  where: readonly string[],
  { address, port, text, answers = 0 }: ServedText,
): Promise<TestServer> {
  const [program, ...args] = [
    ...where,
    process.execPath,
    ...nodeFlags,
    '-e',
    serving,
    String(port),
    address,
    text,
    String(answers),
  ]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended: ${code}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1')
      if (output.includes('listening')) resolve()
    })
  })
  return { datagrams: () => output.replace('listening\n', ''), [Symbol.asyncDispose]: () => endProcess(child) }
}
