// Builds whose steps have networks of their own, killed at random: coordinator, launcher or executor, or all at once. After each
// no link, no table and no process may be left. In a network namespace of its own, so that nothing of the machine is touched.
// seconds: 300
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { source } from './parts/world.mjs'

const { openTestNetwork } = await import(source('packages/runtime/src/testing/network.test.helper.ts'))
const { startMachine } = await import(source('packages/runtime/src/testing/machine.test.helper.ts'))
const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 120)
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 300) * 1000
const VICTIMS = ['coordinator', 'launcher', 'executor', 'all']
const problems = []
const kills = {}

await using network = await openTestNetwork()
let round = 0
for (; round < ROUNDS && Date.now() < endMs && problems.length === 0; round++)
  await disturb(VICTIMS[round % VICTIMS.length])
for (const problem of problems) console.log(problem)
console.log(`${round} rounds, killed: ${JSON.stringify(kills)}`)
process.exitCode = problems.length === 0 && round > 0 ? 0 : 1

async function disturb(victim) {
  const machine = await startMachine('root', { wrapper: network.onMachine })
  try {
    const coordinator = machine.child.pid
    for (let step = 0; step < 4; step++)
      machine
        .run({
          run: 'ping -c 3 -i 0.01 203.0.113.1; sleep 5',
          network: 'default',
          security: step === 3 ? 'insecure' : 'sandbox',
        })
        .catch(() => {})
    // From before the first namespace is made to after the last step has begun.
    await delay(Math.random() * 250)
    const tree = descendants(coordinator)
    const of = {
      coordinator: [coordinator],
      launcher: tree.slice(0, 1),
      executor: tree.slice(1, 2),
      all: [coordinator, ...tree],
    }
    for (const pid of of[victim]) killOne(pid)
    kills[victim] = (kills[victim] ?? 0) + of[victim].length
    machine.child.kill('SIGKILL')
    await nothingIsLeft(victim, [coordinator, ...tree])
  } finally {
    await machine[Symbol.asyncDispose]()
  }
}

async function nothingIsLeft(victim, pids) {
  let left = ''
  for (let look = 0; look < 250; look++) {
    const running = pids.filter((pid) => stateOf(pid) !== undefined && stateOf(pid) !== 'Z')
    left = `${await network.sh('ip -o link | grep ": tsb" || true; nft list tables | grep tsbuild || true')}${running.join(' ')}`
    if (left === '') return
    await delay(20)
  }
  problems.push(`round ${round}, ${victim}: ${left}`)
}

function killOne(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with another.
  }
}

/** Parents first. */
function descendants(pid) {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)
  return children.flatMap((child) => [child, ...descendants(child)])
}

function field(pid, name) {
  try {
    return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  } catch {
    return undefined
  }
}

function parentOf(pid) {
  return Number(field(pid, 'PPid'))
}

function stateOf(pid) {
  return field(pid, 'State')
}
