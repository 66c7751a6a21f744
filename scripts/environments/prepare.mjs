// What every place is given, read-only: the compiled command with a Node, the files and the base that they build on.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { copyAs, copyProgram } from '../program-tree.mjs'
import { nodeBinary, root, step, stop } from '../setup.mjs'

const parts = ['package.json', 'scripts/environments', 'fixtures/quickstart', 'fixtures/environments']

/** $ENVIRONMENTS_DIR: the daemons have to see it under the same path. Root runs what lies there: it is root's alone. */
export function openWorkDirectory() {
  const path = process.env['ENVIRONMENTS_DIR'] ?? join(tmpdir(), 'tsbuild-environments')
  if (!existsSync(path)) mkdirSync(path, { recursive: true })
  const status = lstatSync(path)
  if (!status.isDirectory() || status.uid !== process.getuid() || (status.mode & 0o022) !== 0)
    stop(`${path} is not a directory of yours alone`, 'name another one in ENVIRONMENTS_DIR')
  chmodSync(path, 0o755)
  return path
}

/** A new tree of what is compiled now; with the base, which is kept from one run to the next. */
export function preparePayload(workDirectory, image) {
  const payload = prepareProgram(workDirectory, parts)
  copyAs(prepareBase(workDirectory, image), join(payload, 'base'))
  return payload
}

/** The same with other paths of the checkout, and no base. */
export function prepareProgram(workDirectory, paths) {
  const payload = mkdtempSync(join(workDirectory, 'payload-'))
  chmodSync(payload, 0o755)
  copyProgram(payload, paths)
  return payload
}

function prepareBase(workDirectory, image) {
  const base = process.env['ENVIRONMENTS_BASE'] ?? join(workDirectory, 'base')
  if (existsSync(base)) return base
  step(`the base, made of ${image}: Debian packages from its mirror, a minute`)
  const draft = mkdtempSync(join(workDirectory, 'draft-'))
  const store = join(draft, 'store')
  const args = ['build', '-t', 'environments:latest', '--store', store, '--build-arg', `BASE=${image}`]
  args.push('--build-context', `node=${dirname(nodeBinary())}`, '-o', `type=oci,tar=false,dest=${join(draft, 'base')}`)
  const command = join(root, 'packages/cli/bin/run.js')
  const { status } = spawnSync(nodeBinary(), [command, ...args, join(root, 'fixtures/environments/base')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) stop('the base could not be built', 'see the lines above; ENVIRONMENTS_IMAGE names a Debian image')
  spawnSync('chmod', ['-R', 'a+rX', join(draft, 'base')])
  renameSync(join(draft, 'base'), base)
  rmSync(draft, { recursive: true, force: true, maxRetries: 3 })
  return base
}
