// A store at each call that an operation makes to the disk: the process is killed there, and the disk is full there.
// seconds: 600
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../packages/builder/src/store/store-faults.test.helper.ts', import.meta.url))
const { OPERATIONS, prepareStore, problemsAfter } = await import(script)
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 600) * 1000
const directory = mkdtempSync(join(tmpdir(), 'ts-oci-faults-'))
const problems = []
try {
  for (const operation of Object.keys(OPERATIONS)) {
    console.log(`${operation}: a full disk at each of ${await fillEach(operation)}`)
    console.log(`${operation}: killed at each of ${await killEach(operation)} calls`)
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1

async function run(...words) {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, script, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [status, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return { output, status, signal }
}

async function fillEach(operation) {
  if (Date.now() > endMs) return 'no calls: out of time'
  const place = join(directory, `full-${operation}`)
  const { output, status } = await run('full', operation, place)
  const lines = output.trim().split('\n')
  if (status !== 0 || lines.length !== 1) problems.push(...lines.map((line) => `${operation}: ${line}`))
  rmSync(place, { recursive: true, force: true })
  return lines.at(-1)
}

async function killEach(operation) {
  const prepared = join(directory, 'prepared')
  await prepareStore(prepared, operation)
  let number = 0
  for (let signal = 'SIGKILL'; signal === 'SIGKILL' && Date.now() < endMs;) {
    number++
    const root = join(directory, 'store')
    cpSync(prepared, root, { recursive: true })
    ;({ signal } = await run('kill', operation, root, String(number)))
    for (const problem of await problemsAfter(operation, root))
      problems.push(`${operation}, killed at ${number}: ${problem}`)
    rmSync(root, { recursive: true, force: true })
  }
  rmSync(prepared, { recursive: true, force: true })
  return number
}
