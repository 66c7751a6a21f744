/** A network for tests: a machine with one way outside and a host there, so that nothing of this machine's is touched. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkTool, nodeFlags } from '@ts-oci/testing'
import type { TemporaryDirectory } from '@ts-oci/testing'

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
export function serve(where: readonly string[], { address, port, text, answers = 0 }: ServedText): Promise<TestServer> {
  return startServer(where, serving, [String(port), address, text, String(answers)])
}

// One question a packet, copied; the answer points at its name (RFC 1035, 4.1): A, IN, 60 s. Of other types there is none.
const naming = `
const [address, name, answer] = process.argv.slice(1)
const label = Buffer.from(name.split('.').map((part) => String.fromCharCode(part.length) + part).join('') + '\\0', 'latin1')
const udp = require('node:dgram').createSocket('udp4')
udp.on('message', (bytes, { address, port }) => {
  const asked = bytes.subarray(12, 12 + label.length + 4)
  const isKnown = asked.subarray(0, label.length).equals(label)
  const has = isKnown && asked.readUInt16BE(label.length) === 1
  const header = Buffer.from([bytes[0], bytes[1], 0x85, isKnown ? 0x80 : 0x83, 0, 1, 0, has ? 1 : 0, 0, 0, 0, 0])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...answer.split('.').map(Number)])
  udp.send(Buffer.concat([header, bytes.subarray(12), has ? record : Buffer.alloc(0)]), port, address)
})
udp.bind(53, address, () => process.stdout.write('listening\\n'))
`

/** A server of names at port 53 of the address that knows one. */
export function serveName(
  where: readonly string[],
  { address, name, answer }: { readonly address: string; readonly name: string; readonly answer: string },
): Promise<TestServer> {
  return startServer(where, naming, [address, name, answer])
}

async function startServer(where: readonly string[], script: string, given: readonly string[]): Promise<TestServer> {
  const [program, ...args] = [...where, process.execPath, ...nodeFlags, '-e', script, ...given]
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
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

/** A command that runs what follows it where files of the machine (path → text) are others, as `wrapper` otherwise would. */
export function withFiles(
  wrapper: readonly string[],
  directory: TemporaryDirectory,
  files: Readonly<Record<string, string>>,
): string[] {
  const script = Object.entries(files).map(([path, text], index) => {
    const source = directory.join(`file-${index}`)
    writeFileSync(source, text)
    const parent = path.replace(/\/[^/]*$/, '')
    // A directory that the machine lacks is laid over its nearest one that is there.
    return existsSync(path)
      ? `mount --bind ${source} "$(readlink -f ${path})"`
      : `mount -t tmpfs none /run && mkdir -p ${parent} && cp ${source} ${path}`
  })
  return [...wrapper, 'unshare', '-m', 'sh', '-ec', `${script.join('\n')}\nexec "$@"`, 'sh']
}
