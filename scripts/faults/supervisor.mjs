// seconds: 120
// A hostile step against its supervisor, and random calls against the loop itself, with one seed after the other. What is
// tried is in packages/runtime/src/supervisor; a seed that failed is tried again by SUPERVISOR_SEED=N npx jest of that folder.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { nodeBinary, root } from '../setup.mjs'

/** A round's own, beside Jest's start. */
const ROUND_SECONDS = 15
const end = Date.now() + Number(process.env.FAULT_SECONDS) * 1000
const first = Number(process.env.SUPERVISOR_SEED ?? Date.now() % 100_000)

let rounds = 0
let failed = false
while (!failed && (rounds === 0 || Date.now() + 2 * ROUND_SECONDS * 1000 < end)) {
  const seed = String(first + rounds++)
  const { status } = spawnSync(
    nodeBinary(),
    [
      '--experimental-vm-modules',
      join(root, 'node_modules/jest/bin/jest.js'),
      'packages/runtime/src/supervisor',
      '-t',
      'hostile step|random arguments',
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, SUPERVISOR_SEED: seed, SUPERVISOR_SECONDS: String(ROUND_SECONDS) },
    },
  )
  failed = status !== 0
  if (failed) console.log(`seed ${seed} failed`)
}
console.log(`${rounds} rounds from seed ${first}`)
process.exitCode = failed ? 1 : 0
