// Sixty-four builds at once of graphs that share bases, cache mounts and names, with prune, kill -9 and SIGSTOP: no round
// takes longer than its work, by what the same graphs take that share nothing.
// seconds: 3600
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = (name) => fileURLToPath(new URL(`../../packages/builder/src/${name}`, import.meta.url))
const { runCrowd } = await import(source('api/build-crowd.test.helper.ts'))
const { problemsOfStore } = await import(source('store/store-check.test.helper.ts'))

const PROCESSES = Number(process.env['CROWD_PROCESSES'] ?? 8)
const BUILDS = Number(process.env['CROWD_BUILDS'] ?? 8)
const ROUNDS = Number(process.env['CROWD_ROUNDS'] ?? 200)
const seed = Number(process.env['CROWD_SEED'] ?? Date.now() % 100_000)
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 3600) * 1000

const directory = mkdtempSync(join(tmpdir(), 'ts-oci-locks-'))
try {
  const common = { directory, processes: PROCESSES, builds: BUILDS }
  const apart = await runCrowd({ ...common, rounds: 2, isApart: true, seed, limitMs: 600_000 })
  const workMs = Math.max(...apart.roundsMs)
  console.log(`seed ${seed}; ${PROCESSES} × ${BUILDS} builds that share nothing: ${workMs} ms a round at most`)
  // What is killed is done again, what stands still waits for a second, and the machine does other things as well.
  const limitMs = 10 * workMs + 30_000
  const problems = [...apart.problems]
  const roundsMs = []
  const counts = { builds: 0, kills: 0, stops: 0, prunes: 0 }
  const STEP = 5
  let longestMs = 0
  // No rounds are begun that could not end in time.
  for (let done = 0; done < ROUNDS && Date.now() + longestMs < endMs && problems.length === 0; done += STEP) {
    const startMs = Date.now()
    const result = await runCrowd({
      ...common,
      rounds: Math.min(STEP, ROUNDS - done),
      prunes: true,
      disturbMs: Math.max(1000, 2 * workMs),
      seed: seed + done + 1,
      limitMs,
    })
    longestMs = Math.max(longestMs, Date.now() - startMs)
    roundsMs.push(...result.roundsMs)
    problems.push(...result.problems)
    for (const name of Object.keys(counts)) counts[name] += result[name]
    const sorted = roundsMs.toSorted((a, b) => a - b)
    const { builds, kills, stops, prunes } = counts
    console.log(
      `${done + STEP} rounds: ${builds} builds, ${kills} kills, ${stops} stops, ${prunes} prunes; a round took ${sorted[sorted.length >> 1]} ms (median), ${sorted.at(-1)} ms at most`,
    )
  }
  problems.push(...(await problemsOfStore(join(directory, 'store'))))
  for (const problem of problems) console.log(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
