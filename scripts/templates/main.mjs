// Fills generated templates with Docker's command and with tsbuild's, and prints every difference. `--record FILE` writes what
// Docker made of them, which the tests read. Docker's command is asked through a daemon that knows the one document.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { createRandom } from '../differential/random.mjs'
import { serveImage } from './daemon.mjs'
import { document } from './document.mjs'
import { drawTemplate } from './grammar.mjs'

const { values: options } = parseArgs({
  options: { seed: { type: 'string' }, count: { type: 'string' }, record: { type: 'string' } },
})
const seed = Number(options.seed ?? Math.floor(Math.random() * 1e6))
const count = Number(options.count ?? 200)
const socket = join(tmpdir(), `templates-${process.pid}.sock`)

const daemon = await serveImage(socket, document)
try {
  const random = createRandom(seed)
  // What shows addresses in memory, or an image whole with the fields of one version of Docker, is compared with nothing; nor is
  // `join` of other lists than those of texts, which newer versions of Docker take.
  const recorded = []
  while (recorded.length < count) {
    const template = drawTemplate(random)
    if (template === '') continue
    const docker = await fillWithDocker(template)
    if (isComparable(template, docker)) recorded.push({ template, ...docker })
  }
  if (options.record !== undefined)
    writeFileSync(options.record, `${JSON.stringify({ seed, document, recorded }, null, 1)}\n`)
  else await compare(recorded)
} finally {
  await daemon.close()
}

function isComparable(template, { output, error }) {
  if (error.includes('expected []string')) return false
  if (/0x[\da-f]{9}|GraphDriver/.test(output)) return false
  return !/join(?! \.RepoTags| \.Config\.(?:Env|Cmd))/.test(template)
}

async function compare(recorded) {
  const { fillAsInspect } = await import('../../packages/cli/dist/go-template/fill-inspection.js')
  let different = 0
  for (const { template, output, error } of recorded) {
    const ours = fill(() => fillAsInspect(template, document))
    if (ours.output === output && ours.error === error) continue
    different++
    console.log(JSON.stringify({ template, docker: error || output, ours: ours.error || ours.output }, null, 1))
  }
  console.log(`seed ${seed}: ${recorded.length} templates, ${different} different`)
  process.exitCode = different === 0 ? 0 : 1
}

function fill(make) {
  try {
    return { output: `${make()}\n`, error: '' }
  } catch (error) {
    return { output: '\n', error: error.message }
  }
}

/** Of a template that is none, Docker writes nothing; of one that fails, an empty line. */
function fillWithDocker(template) {
  const namespace = process.env['PEERS_NS']
  const prefix = namespace === undefined ? [] : ['nsenter', `--mount=${namespace}`, '--wdns=/', '--']
  const [command, ...args] = [
    ...prefix,
    'env',
    'DOCKER_API_VERSION=1.51',
    'docker',
    '-H',
    `unix://${socket}`,
    'image',
    'inspect',
    '--format',
    template,
    'x',
  ]
  return new Promise((resolve) => {
    execFile(command, args, { encoding: 'utf8' }, (_, stdout, stderr) =>
      resolve({ output: stdout || '\n', error: stderr.replace(/\n$/, '') }),
    )
  })
}
