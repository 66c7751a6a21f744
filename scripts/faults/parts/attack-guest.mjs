// Inside a place: builds steps that attack, and tells what each reached as a JSON object a line: { store, attack, reached }.
// The table is in packages/runtime/src/testing/attack-step.c; argument: `NAME=DIRECTORY` for each store.
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const payload = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const SECRET = 'lent-to-one-step-8c12'
const pattern = SECRET.replace('lent', '[l]ent')

const lookFor = `for at in /proc/[0-9]*; do for file in $at/root/run/secrets/s $at/cwd/run/secrets/s $at/environ $at/fd/*; do \
[ -f $file ] && grep -qs '${pattern}' $file && echo "lent: read $file"; done; reach-socket $at/root/run/buildkit/ssh_agent.0; done; \
for file in /run/secrets/s /cache/*; do [ -f $file ] && grep -qs '${pattern}' $file && echo "lent: read $file"; done; \
reach-socket /run/buildkit/ssh_agent.0 /cache/*; true`

/** One stage has what is lent and keeps it as it can, one looks for it meanwhile, one afterwards. */
const lent = `FROM base AS with
COPY reach-socket /bin/
FROM with AS holds
RUN --mount=type=secret,id=s --mount=type=secret,id=s,env=TOKEN --mount=type=ssh --mount=type=cache,id=one,target=/cache exec 3</run/secrets/s; \
ln -s /proc/self/fd/3 /cache/descriptor; ln -s $SSH_AUTH_SOCK /cache/link; \
(setsid sleep 30 3<&3 >/dev/null 2>&1 &); echo held; sleep 2
FROM with AS looks
RUN --mount=type=cache,id=two,target=/cache end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do ${lookFor}; usleep 200000; done; echo looked > /looked
FROM holds
COPY --from=looks /looked /
RUN --mount=type=cache,id=one,target=/cache ${lookFor}; echo looked again
`

for (const argument of process.argv.slice(2)) {
  const [name, directory] = argument.split('=')
  await tryStore(name, directory)
}
process.exit(0)

async function tryStore(name, directory) {
  const store = join(directory, 'store')
  mkdirSync(join(directory, 'context'), { recursive: true })
  for (const program of ['attack-step', 'reach-socket'])
    copyFileSync(join(payload, 'attacks', program), join(directory, 'context', program))
  const agent = createServer().listen(join(directory, 'agent'))
  const outside = createServer().listen(`\0ts-oci-attack-${process.pid}`)
  const other = spawn('sleep', ['600'], { stdio: 'ignore' })
  const segment = /\d+/.exec(spawnSync('ipcmk', ['-M', '4096', '-p', '0666'], { encoding: 'utf8' }).stdout ?? '')?.[0]
  const before = modes()
  const words = [segment ?? '999999', `ts-oci-attack-${process.pid}`, store, String(other.pid)]
  const step = `FROM base\nCOPY attack-step /\nRUN ${JSON.stringify(['/attack-step', ...words])}\n`
  writeFileSync(join(directory, 'secret'), SECRET)
  const lines = await build(directory, store, step, [])
  for (const line of lines.filter((one) => one.includes('='))) {
    const at = line.indexOf('=')
    say({ store: name, attack: line.slice(0, at), reached: line.slice(at + 1) })
  }
  const lend = ['--secret', `id=s,src=${join(directory, 'secret')}`, '--ssh', `default=${join(directory, 'agent')}`]
  const found = await build(directory, store, lent, lend)
  const hasRun = ['held', 'looked again'].every((line) => found.includes(line))
  const reached = found.filter((line) => /^(lent:|reached)/.test(line))
  say({
    store: name,
    attack: 'what is lent',
    reached: hasRun ? reached.join(' ') : `did not run: ${found.slice(-3).join(' | ')}`,
  })
  const left = spawnSync('grep', ['-rlF', '-D', 'skip', SECRET, store], { encoding: 'utf8' }).stdout.trim()
  say({ store: name, attack: 'a secret in the store', reached: left })
  say({ store: name, attack: 'devices of the place', reached: modes() === before ? '' : `${before} are ${modes()}` })
  for (const server of [agent, outside]) server.close()
  other.kill('SIGKILL')
}

function modes() {
  return ['/dev/null', '/dev/zero', '/dev/full', '/proc/keys']
    .map((path) => statSync(path, { throwIfNoEntry: false }))
    .map((status) => status && `${status.mode.toString(8)} ${status.uid}:${status.gid}`)
    .join(', ')
}

/** Lines that the steps wrote. */
async function build(directory, store, text, more) {
  writeFileSync(join(directory, 'context', 'Dockerfile'), text)
  const base = ['--build-context', `base=oci-layout://${join(payload, 'base')}`]
  const words = [
    'build',
    '--store',
    store,
    '--progress',
    'plain',
    '-o',
    'type=cacheonly',
    ...base,
    ...more,
    join(directory, 'context'),
  ]
  const child = spawn(process.execPath, [join(payload, 'packages/cli/bin/run.js'), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: directory },
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => (output += chunk))
  const status = await new Promise((resolve) => child.once('close', resolve))
  const lines = output.split('\n').flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? [])
  return status === 0 ? lines : [...lines, ...output.trim().split('\n').slice(-6)]
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}
