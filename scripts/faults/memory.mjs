// seconds: 3600
// The memory of a build does not follow the size of what it moves: the largest process of each op and output with a large
// file. FAULT_GIB=4, FAULT_BASE=IMAGE (a shell, for what needs a RUN), FAULT_REGISTRY=HOST (for push and pull),
// FAULT_ONLY=PATTERN, FAULT_LIMIT_MB=200. What is left out for want of a base or a registry is said.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { createReadStream, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { nodeBinary, root } from '../setup.mjs'

const MIB = 1024 * 1024
const env = process.env
const cli = join(root, 'packages/cli/bin/run.js')
const limitMb = Number(env.FAULT_LIMIT_MB ?? 200)
const store = ['-t', 'x']
let counter = 0

process.exitCode = await main()

async function main() {
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-memory-'))
  const server = await serve(work)
  const git = gitDaemon(work)
  process.once('exit', git.stop)
  process.once('SIGTERM', () => process.exit(143))
  const bench = {
    work,
    gib: Number(env.FAULT_GIB ?? 4),
    base: env.FAULT_BASE,
    registry: env.FAULT_REGISTRY,
    url: `http://127.0.0.1:${server.address().port}`,
    git: git.url,
  }
  let failed = 0
  try {
    prepare(bench)
    for (const one of casesOf(bench).filter(({ name }) => new RegExp(env.FAULT_ONLY ?? '.').test(name)))
      if (!(await report(one, bench))) failed++
  } finally {
    server.close()
    rmSync(work, { recursive: true, force: true })
  }
  return failed === 0 ? 0 : 1
}

async function report(one, bench) {
  const { maxMb, seconds, status, errors } = await measure(one, bench)
  const isGood = status === (one.status ?? 0) && maxMb <= limitMb && maxMb > 0
  console.log(
    `${isGood ? 'ok    ' : 'FAILED'} ${one.name.padEnd(34)}${String(maxMb).padStart(6)} MB${seconds.toFixed(1).padStart(8)} s`,
  )
  if (!isGood) console.log(`status ${status}\n${errors}`)
  return isGood
}

/** Serves the large files to ADD. */
async function serve(work) {
  const server = createServer((request, response) => {
    const path = join(work, 'files', request.url.slice(1))
    response.setHeader('content-length', statSync(path).size)
    createReadStream(path).pipe(response)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** The program itself: `git daemon` would start it as another process, which outlives the one that is ended. */
function gitDaemon(work) {
  const port = 20_000 + (process.pid % 20_000)
  const program = join(spawnSync('git', ['--exec-path'], { encoding: 'utf8' }).stdout.trim(), 'git-daemon')
  const options = ['--export-all', `--base-path=${work}`, '--listen=127.0.0.1', `--port=${port}`]
  const child = spawn(program, options, { stdio: 'ignore' })
  child.on('error', () => console.log('there is no git-daemon: what needs it fails'))
  return { url: `git://127.0.0.1:${port}/repo`, stop: () => child.kill() }
}

function prepare({ work, gib }) {
  mkdirSync(join(work, 'files'))
  mkdirSync(join(work, 'empty'))
  largeFile(join(work, 'files/big'), gib)
  sh(`cd ${work}/files && tar -cf big.tar big && tar -czf big.tar.gz big && tar --zstd -cf big.tar.zst big`)
}

/** Mostly a hole, but no piece like another one where it is none: a MiB of chance every 64 MiB. */
function largeFile(path, gib) {
  const fd = openSync(path, 'w')
  for (let at = 0; at < gib * 1024; at += 64) writeSync(fd, randomBytes(MIB), 0, MIB, at * MIB)
  ftruncateSync(fd, gib * 1024 * MIB)
  closeSync(fd)
}

function sh(script, options = {}) {
  const { status, stderr } = spawnSync('bash', ['-ec', script], { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${script}: ${stderr}`)
}

function casesOf(bench) {
  return [...copies(), ...outputs(), ...contexts(bench), ...steps(bench), ...registries(bench)]
}

function copies() {
  const add = (name, dockerfile, more = {}) => ({ name, dockerfile, args: store, ...more })
  return [
    add('COPY', 'FROM scratch\nCOPY big /\n'),
    add('COPY --link', 'FROM scratch\nCOPY --link big /\n'),
    add('COPY --from stage', 'FROM scratch AS a\nCOPY big /\nFROM scratch\nCOPY --from=a /big /b\n'),
    add('COPY --chown --chmod', 'FROM scratch\nCOPY --chown=1:1 --chmod=600 big /\n'),
    add('ADD file', 'FROM scratch\nADD big /\n'),
    add('ADD tar', 'FROM scratch\nADD big.tar /\n'),
    add('ADD tar.gz', 'FROM scratch\nADD big.tar.gz /\n'),
    add('ADD tar.zst', 'FROM scratch\nADD big.tar.zst /\n'),
    add('ADD URL', 'FROM scratch\nADD URL/big /\n'),
    add('ADD --unpack URL', 'FROM scratch\nADD --unpack=true URL/big.tar.gz /\n'),
    add('ADD git', 'FROM scratch\nADD GIT /\n', { before: makeRepository }),
    add('no-op, cached', 'FROM scratch\nCOPY big /\n', { warm: ['-t', 'x'], keepsCache: true }),
  ]
}

function outputs() {
  const kinds = {
    'oci gzip': 'type=oci,dest=OUT',
    'oci gzip level 9': 'type=oci,compression-level=9,dest=OUT',
    'oci zstd': 'type=oci,compression=zstd,dest=OUT',
    'oci uncompressed': 'type=oci,compression=uncompressed,dest=OUT',
    'oci directory': 'type=oci,tar=false,dest=OUT',
    'oci rewrite-timestamp': 'type=oci,rewrite-timestamp=true,dest=OUT',
    'oci force-compression zstd': 'type=oci,compression=zstd,force-compression=true,dest=OUT',
    docker: 'type=docker,dest=OUT',
    tar: 'type=tar,dest=OUT',
    local: 'type=local,dest=OUT',
    image: 'type=image,name=y',
    'image unpack': 'type=image,name=y,unpack=true',
    cacheonly: 'type=cacheonly',
  }
  const files = Object.entries(kinds).map(([name, output]) => ({
    name: `-o ${name}`,
    dockerfile: 'FROM scratch\nCOPY big /\n',
    args: ['-o', output],
    env: name.includes('rewrite') ? { SOURCE_DATE_EPOCH: '1' } : {},
    isUnsupported: name === 'image unpack',
  }))
  const streams = ['tar', 'oci', 'docker'].map((type) => ({
    name: `-o ${type} to a pipe`,
    dockerfile: 'FROM scratch\nCOPY big /\n',
    args: ['-o', `type=${type},dest=-`],
    through: '| cat >/dev/null',
  }))
  return [...files.filter(({ isUnsupported }) => !isUnsupported), ...streams]
}

function contexts({ work, url }) {
  const dockerfile = 'FROM scratch\nCOPY big /\n'
  const archive = (name, extension) => ({
    name: `context ${name} on stdin`,
    dockerfile,
    context: '-',
    args: ['-f', 'Dockerfile', ...store],
    before: ({ contextDir }) =>
      sh(`tar -C ${contextDir} -rhf ${contextDir}/c.tar Dockerfile big && ${extension}`.replaceAll('DIR', contextDir)),
    through: `< ${work}/stdin`,
  })
  return [
    archive('tar', `mv DIR/c.tar ${work}/stdin`),
    archive('tar.gz', `gzip -1 <DIR/c.tar >${work}/stdin`),
    archive('tar.zst', `zstd -q -1 <DIR/c.tar >${work}/stdin`),
    {
      name: 'context of a URL',
      dockerfile,
      context: `${url}/context.tar`,
      args: store,
      before: ({ contextDir }) => sh(`tar -C ${contextDir} -chf ${work}/files/context.tar Dockerfile big`),
    },
    { name: 'context of git', dockerfile, context: 'GIT', args: store, before: makeRepository },
    {
      name: 'named context',
      dockerfile: 'FROM scratch\nCOPY --from=c big /\n',
      args: ['--build-context', `c=${work}/files`, ...store],
    },
    {
      name: 'oci-layout context',
      dockerfile: 'FROM c\nCOPY --from=c big /b\n',
      args: ['--build-context', `c=oci-layout://${work}/layout:y`, ...store],
      before: makeLayout,
    },
    {
      name: 'a secret that is too large',
      dockerfile: 'FROM BASE\nRUN --mount=type=secret,id=s true\n',
      args: ['--secret', `id=s,src=${work}/files/big`, ...store],
      status: 1,
      needs: 'base',
    },
  ]
}

function makeRepository({ work, contextDir }) {
  sh(
    `rm -rf ${work}/repo && git init -q ${work}/repo && cd ${work}/repo && cp --sparse=always ${work}/files/big big && cp ${contextDir}/Dockerfile . && git add . && git -c user.name=n -c user.email=e commit -qm m`,
  )
}

function makeLayout({ work, env: childEnv }) {
  mkdirSync(join(work, 'layout-context'))
  sh(`ln ${work}/files/big ${work}/layout-context/big`)
  writeFileSync(join(work, 'layout-context/Dockerfile'), 'FROM scratch\nCOPY big /\n')
  tsbuild(['-o', `type=oci,tar=false,name=y:y,dest=${work}/layout`, join(work, 'layout-context')], childEnv)
}

function steps({ base }) {
  const step = (name, body, args = store, more = {}) => ({
    name,
    dockerfile: `FROM BASE\n${body}`,
    args,
    needs: 'base',
    ...more,
  })
  const write = 'RUN dd if=/dev/zero of=/big bs=1M count=COUNT 2>/dev/null\n'
  if (base === undefined) console.log('no FAULT_BASE: what needs a RUN is not measured')
  return base === undefined
    ? []
    : [
        step('RUN writes', write),
        step('RUN writes, -o oci', write, ['-o', 'type=oci,dest=OUT']),
        step('RUN writes, -o tar', write, ['-o', 'type=tar,dest=OUT']),
        step('RUN writes, -o local', write, ['-o', 'type=local,dest=OUT']),
        step('RUN touches a file of the base', `COPY big /\nRUN touch /big\n`),
        step('COPY --from RUN', `${write}FROM scratch\nCOPY --from=0 /big /\n`),
        step('RUN --mount bind context', 'RUN --mount=target=/c cat /c/big >/dev/null\n'),
        step('RUN --mount bind stage', 'RUN --mount=from=a,target=/c cat /c/big >/dev/null\n', store, {
          prefix: 'FROM scratch AS a\nCOPY big /\n',
        }),
        step(
          'RUN --mount cache',
          'RUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/big bs=1M count=COUNT 2>/dev/null\n',
        ),
        step('RUN output without line feeds', "RUN dd if=/dev/zero bs=1M count=512 2>/dev/null | tr '\\0' x\n"),
        step('RUN output of many lines', 'RUN yes 12345678901234567890 | head -c 512m\n'),
        step('RUN output, reader is slow', 'RUN yes 12345678901234567890 | head -c 256m\n', store, {
          errorsThrough: 'head -c 10m >/dev/null; sleep 3; cat >/dev/null',
        }),
      ]
}

function registries({ registry, work }) {
  if (registry === undefined) console.log('no FAULT_REGISTRY: push and pull are not measured')
  if (registry === undefined) return []
  const name = `${registry}/tsbuild-memory:x`
  const dockerfile = 'FROM scratch\nCOPY big /\n'
  return [
    { name: '-o registry', dockerfile, args: ['-o', `type=registry,name=${name},registry.insecure=true`] },
    { name: 'push', command: ['push', name], warm: ['-t', name], dockerfile },
    { name: 'pull', command: ['pull', name], dockerfile },
    {
      name: 'FROM pulled, COPY --from',
      dockerfile: `FROM ${name} AS a\nFROM scratch\nCOPY --from=a /big /b\n`,
      args: store,
    },
    {
      name: 'FROM pulled, RUN',
      dockerfile: `FROM ${name} AS a\nFROM BASE\nRUN --mount=from=a,target=/a true\n`,
      args: store,
      needs: 'base',
    },
    { name: 'FROM pulled, -o local', dockerfile: `FROM ${name}\n`, args: ['-o', `type=local,dest=OUT`] },
    { name: 'inspect, history, images', command: ['history', 'x'], warm: store, dockerfile },
  ].map((one) => ({ ...one, work }))
}

async function measure(one, bench) {
  const { work, gib, base, url, git } = bench
  const contextDir = join(work, `context-${++counter}`)
  const out = join(work, `out-${counter}`)
  mkdirSync(contextDir)
  sh(`for f in big big.tar big.tar.gz big.tar.zst; do ln ${work}/files/$f ${contextDir}/$f; done`)
  const filled = (text) =>
    text
      .replaceAll('BASE', base)
      .replaceAll('URL', url)
      .replaceAll('GIT', git)
      .replaceAll('COUNT', String(gib * 1024))
      .replaceAll('OUT', out)
  writeFileSync(join(contextDir, 'Dockerfile'), filled((one.prefix ?? '') + one.dockerfile))
  writeFileSync(join(contextDir, '.dockerignore'), '')
  const childEnv = { ...env, TSBUILD_HOME: join(work, 'store'), ...one.env }
  try {
    one.before?.({ work, contextDir, env: childEnv })
    if (one.warm !== undefined) tsbuild([...one.warm, contextDir], childEnv)
    const context = filled(one.context ?? contextDir)
    const words = one.command ?? [...one.args.map(filled), '--progress=plain', context]
    return await timed(words, one, childEnv, work)
  } finally {
    for (const path of [
      contextDir,
      out,
      join(work, 'stdin'),
      join(work, 'repo'),
      join(work, 'layout'),
      join(work, 'layout-context'),
      join(work, 'files/context.tar'),
    ])
      rmSync(path, { recursive: true, force: true })
    removeStore(childEnv)
  }
}

/** Trees of a step can have files that only their owner may remove. */
function removeStore(childEnv) {
  spawnSync(nodeBinary(), [cli, 'prune', '-a', '-f'], { env: childEnv })
  rmSync(childEnv.TSBUILD_HOME, { recursive: true, force: true })
}

function tsbuild(words, childEnv) {
  const { status, stderr } = spawnSync(nodeBinary(), [cli, ...words], {
    env: childEnv,
    encoding: 'utf8',
    maxBuffer: 64 * MIB,
  })
  if (status !== 0) throw new Error(`tsbuild ${words.join(' ')}: ${stderr}`)
}

async function timed(words, one, childEnv, work) {
  const report = join(work, 'time')
  const command = ['/usr/bin/time', '-o', report, '-f', '%M', nodeBinary(), cli, ...words]
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const errors = one.errorsThrough === undefined ? `2> >(tail -c 3000 >${work}/errors)` : `2> >(${one.errorsThrough})`
  const startMs = performance.now()
  const child = spawn('bash', ['-c', `set -o pipefail; ${quoted} ${errors} ${one.through ?? '>/dev/null'}`], {
    env: childEnv,
    stdio: 'inherit',
  })
  const status = await new Promise((resolve) => child.on('close', resolve))
  const seconds = (performance.now() - startMs) / 1000
  const text = spawnSync('tail', ['-n', '1', report], { encoding: 'utf8' }).stdout
  const tail = spawnSync('cat', [join(work, 'errors')], { encoding: 'utf8' }).stdout
  return { maxMb: Math.round(Number(text) / 1024), seconds, status, errors: tail }
}
