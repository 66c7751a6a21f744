// `npm run differential -- --step --base IMAGE`: runs step-probe.sh as a step of BuildKit and of tsbuild and compares what
// each step saw. Every difference has a row in step-differences.mjs, or it is a failure.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../setup.mjs'
import { run } from './build.mjs'
import { differences } from './step-differences.mjs'

/** `reference`, `ours`: commands that build; `base`: an image of Debian. Answers how many differences nobody explains. */
export async function compareSteps({ work, base, reference: theirCommand, ours: ourCommand, environment }) {
  const context = join(work, `context-step-${process.pid}`)
  mkdirSync(context)
  copyFileSync(join(root, 'scripts/differential/step-probe.sh'), join(context, 'probe.sh'))
  const lines = [
    `FROM ${base} AS probe`,
    'COPY probe.sh /probe.sh',
    'RUN bash /probe.sh > /facts',
    'FROM scratch',
    'COPY --from=probe /facts /',
  ]
  writeFileSync(join(context, 'Dockerfile'), `${lines.join('\n')}\n`)
  const [reference, ours] = await Promise.all([
    factsOf(theirCommand, context, join(work, 'reference'), {}),
    factsOf(ourCommand, context, join(work, 'ours'), environment),
  ])
  const isRootless = !ours.some((fact) => /^attributes: uid_map\s+0 0 4294967295$/.test(fact))
  const unknown = [
    ...onlyIn(reference, ours).map((fact) => ({ fact, side: '-' })),
    ...onlyIn(ours, reference).map((fact) => ({ fact, side: '+' })),
  ].filter((difference) => !explain(difference, isRootless))
  for (const { side, fact } of unknown) console.log(`${side} ${fact}`)
  console.log(`facts: ${reference.length}, differences that no row explains: ${unknown.length}`)
  return unknown.length
}

async function factsOf(command, context, dest, environment) {
  const { status, output } = await run([...command, '--no-cache', '-o', `type=local,dest=${dest}`, context], {
    ...process.env,
    ...environment,
  })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${output}`)
  return readFileSync(join(dest, 'facts'), 'utf8').split('\n').filter(Boolean)
}

/** Facts of one list that the other lacks; a fact that is there twice must be there twice. */
function onlyIn(facts, others) {
  const left = new Map()
  for (const fact of others) left.set(fact, (left.get(fact) ?? 0) + 1)
  return facts.filter((fact) => {
    const count = left.get(fact) ?? 0
    left.set(fact, count - 1)
    return count <= 0
  })
}

function explain({ fact, side }, isRootless) {
  return differences.some(
    ({ fact: pattern, side: where = side, rootless = false }) =>
      where === side && (isRootless || !rootless) && pattern.test(fact),
  )
}
