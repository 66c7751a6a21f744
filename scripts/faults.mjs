// `npm run faults [-- NAME...]`: long trials of faults, one module of scripts/faults/ after the other; a short form of
// each is in `npm test`. A module is a program: it ends by itself with status 0 when all held, and says what it did.
// Its first lines hold `// seconds: N`, the time that it has; FAULT_SECONDS gives all of them another one.
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { environment, nodeBinary, root, step } from './setup.mjs'

/** What a module may take above its time to come to its end, before it is killed with all that it started. */
const GRACE_MS = 60_000

const directory = join(root, 'scripts/faults')
const wanted = process.argv.slice(2)
const known = readdirSync(directory)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.slice(0, -'.mjs'.length))
  .toSorted()
const unknown = wanted.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`no trial is called ${unknown.join(', ')}: there are ${known.join(', ')}`)
  process.exit(1)
}
const names = known.filter((name) => wanted.length === 0 || wanted.includes(name))

const failed = []
for (const name of names) {
  const file = join(directory, `${name}.mjs`)
  const seconds = Number(
    process.env['FAULT_SECONDS'] ?? /^\/\/ seconds: (\d+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 60,
  )
  step(`faults: ${name}, ${seconds} s`)
  if (!(await run(file, seconds))) failed.push(name)
}
console.log(failed.length === 0 ? `\nall held: ${names.join(', ')}` : `\nfailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1

async function run(file, seconds) {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const child = spawn(nodeBinary(), [...flags, file], {
    env: { ...environment(), FAULT_SECONDS: String(seconds) },
    stdio: 'inherit',
    // A process group of its own: what hangs is ended with its children.
    detached: true,
  })
  const timer = setTimeout(() => process.kill(-Number(child.pid), 'SIGKILL'), seconds * 1000 + GRACE_MS)
  try {
    const [status, signal] = await new Promise((resolve) => child.once('exit', (...all) => resolve(all)))
    if (signal !== null) console.log(`ended by ${signal}`)
    return status === 0
  } finally {
    clearTimeout(timer)
  }
}
