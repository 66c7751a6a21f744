// `npm run measure -- supervisor --base IMAGE`: what the supervisor of steps with one user id costs. Each workload runs as a user with
// one id, and as root with a map of its own and no supervisor (`--isolation=rootless`), in turns, after one run of each that does not count.
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeBinary, root, stop } from './setup.mjs'

const REPEATS = 5
/** Nobody has it, nor subordinate ids. */
const USER = 64_321
const FILES = 200
const install = 'apt-get install -y --no-install-recommends'
const packages =
  'locales libpq-dev libxml2-dev libssl-dev libjpeg-dev libpng-dev python3-venv openssh-client git curl rsync unzip procps less file'

/** A stage that makes ready, and the step that is measured. The base is a Debian. */
const workloads = {
  npm: {
    what: 'npm ci of what this checkout is developed with, from a full cache',
    ready: [`${install} npm`, 'cd /project && npm install --silent --ignore-scripts && rm -rf node_modules'],
    step: 'cd /project && npm ci --silent --offline --ignore-scripts',
  },
  apt: {
    what: 'apt-get install, from a full cache',
    ready: [`rm -f /etc/apt/apt.conf.d/docker-clean && ${install} --download-only ${packages}`],
    step: `${install} ${packages} > /dev/null 2>&1`,
  },
  gcc: {
    what: `make of ${FILES} files, a gcc each`,
    ready: [
      `${install} gcc libc6-dev make`,
      `mkdir /src && cd /src && for n in $(seq ${FILES}); do printf '#include <stdio.h>\\n#include <stdlib.h>\\n#include <string.h>\\n#include <unistd.h>\\nint f%d(void) { return printf("%d"); }\\n' $n $n > f$n.c; done`,
      `cd /src && printf 'all: $(patsubst %%.c,%%.o,$(wildcard *.c))\\n%%.o: %%.c\\n\\tgcc -O1 -c $< -o $@\\n' > Makefile`,
    ],
    step: 'make -s -C /src',
  },
}

export function measureSupervisor(base, names) {
  if (process.getuid() !== 0)
    stop('this measurement has to be root: it becomes a user with one id, and one with a map of its own')
  if (base === 'scratch') stop('give a Debian: --base IMAGE')
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-measure-'))
  try {
    chmodSync(work, 0o755)
    const kinds = [
      kindOf(work, 'own', []),
      kindOf(work, 'one', ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']),
    ]
    const wanted = Object.keys(workloads).filter((name) => names.length === 0 || names.includes(name))
    for (const name of wanted) measure(work, base, kinds, name)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function kindOf(work, name, become) {
  const home = join(work, name)
  mkdirSync(home)
  if (become.length > 0) chownSync(home, USER, USER)
  return { home, become, isolation: '--isolation=rootless' }
}

function measure(work, base, kinds, name) {
  const { what, ready, step } = workloads[name]
  const context = join(work, `context-${name}`)
  mkdirSync(context)
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(join(context, 'package.json'), JSON.stringify({ devDependencies }))
  const lines = [`FROM ${base} AS ready`, 'COPY package.json /project/', 'RUN apt-get update']
  for (const line of ready) lines.push(`RUN ${line}`)
  writeFileSync(
    join(context, 'Dockerfile'),
    [...lines, 'FROM ready AS measured', `RUN --network=none ${step}`, ''].join('\n'),
  )
  const times = kinds.map(() => [])
  for (let run = 0; run <= REPEATS; run++)
    kinds.forEach((kind, index) => {
      const result = timed(kind, [...flags(name), context])
      if (run > 0) times[index].push(result)
    })
  const [own, one] = times.map((runs) => runs.toSorted((a, b) => a.cpu - b.cpu)[REPEATS >> 1])
  const more = (key) => `${(((one[key] - own[key]) / own[key]) * 100).toFixed(0)} %`.padStart(6)
  const cell = (value) => `${value.toFixed(2)} s`.padStart(9)
  console.log(
    `${name.padEnd(5)} processor ${cell(own.cpu)} ${cell(one.cpu)} ${more('cpu')}   clock ${cell(own.wall)} ${cell(one.wall)} ${more('wall')}   ${what}`,
  )
}

function flags(name) {
  return ['build', '--quiet', '--no-cache-filter=measured', '--output=type=cacheonly', '-t', `measured-${name}`]
}

/** Seconds of the build, processor time of all that it started included. */
function timed({ home, become, isolation }, args) {
  const words = [...become, nodeBinary(), join(root, 'packages/cli/bin/run.js'), ...args, isolation]
  const times = join(home, 'times')
  const started = performance.now()
  const { status, stderr } = spawnSync('/usr/bin/time', ['-o', times, '-f', '%U %S', ...words], {
    encoding: 'utf8',
    env: { ...process.env, HOME: home, TSBUILD_HOME: join(home, 'store'), XDG_RUNTIME_DIR: home },
  })
  const wall = (performance.now() - started) / 1000
  if (status !== 0) stop(`${words.join(' ')} failed`, stderr)
  const [user, system] = readFileSync(times, 'utf8').trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu: user + system }
}
