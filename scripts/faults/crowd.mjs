// Sixteen processes that build, tag, prune and remove in one store, opening it anew for each call.
// seconds: 120
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const COUNT = 16
const source = (name) => fileURLToPath(new URL(`../../packages/builder/src/store/${name}`, import.meta.url))
const { problemsOfStore } = await import(source('store-check.test.helper.ts'))
const { addImage } = await import(source('store-process.test.helper.ts'))
const { openStore } = await import(source('store.ts'))

const directory = mkdtempSync(join(tmpdir(), 'ts-oci-crowd-'))
const root = join(directory, 'store')
const endMs = Date.now() + Number(process.env['FAULT_SECONDS'] ?? 120) * 1000
try {
  {
    await using store = await openStore({ root })
    addImage(store, 'counted')
  }
  const outputs = await Promise.all(Array.from({ length: COUNT }, (_, number) => run(number)))
  const rounds = outputs.map((output) => Number(/^rounds (\d+)$/m.exec(output)?.[1] ?? Number.NaN))
  const problems = [...outputs.filter((output) => !/^rounds \d+\n$/.test(output)), ...(await problemsOfStore(root))]
  const total = rounds.reduce((sum, one) => sum + one, 0)
  await using store = await openStore({ root })
  const counted = new Set(store.images.find('counted')?.repoDigests).size
  if (counted !== total * 10) problems.push(`${total * 10} changes of one row were made, ${counted} are there`)
  console.log(`${total} rounds of ${COUNT} processes`)
  for (const problem of problems) console.log(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}

async function run(number) {
  const flags = ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning']
  const words = [source('store-crowd.test.helper.ts'), root, String(number), '1000000', String(endMs)]
  const child = spawn(process.execPath, [...flags, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return output + errors
}
