// The second disk: the compiled packages with what they need of node_modules, a Node, a busybox, and the checks.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { environment, nodeBinary, root, stop } from '../../setup.mjs'
import { findProgram } from './requirements.mjs'

const packageParts = ['package.json', 'bin', 'dist']
const others = ['package.json', 'scripts', 'fixtures/quickstart']

/**
 * Makes `payload.ext4` in the work directory, anew each time, and returns its path.
 * @param checks names of those that shall run
 */
export function preparePayload(workDirectory, checks) {
  const tree = mkdtempSync(join(workDirectory, 'payload-'))
  try {
    for (const name of ['runtime', 'builder', 'cli'])
      for (const part of packageParts) copy(join('packages', name, part), tree)
    for (const part of [...others, ...neededModules()]) copy(part, tree)
    copyAs(realpathSync(nodeBinary()), join(tree, 'bin/node'))
    copyAs(realpathSync(findProgram('busybox')), join(tree, 'bin/busybox'))
    writeFileSync(join(tree, 'checks'), checks.map((name) => `${name}\n`).join(''))
    return makeDisk(tree, join(workDirectory, 'payload.ext4'))
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

/** Paths below the root of what the command needs at run time, and the links of the workspace. */
function neededModules() {
  const args = ['ls', '--omit=dev', '--all', '--parseable', '--workspace=packages/cli']
  const { stdout, status, stderr } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', env: environment() })
  if (status !== 0) stop(`npm ls failed: ${stderr}`, 'npm ci')
  return stdout
    .split('\n')
    .filter((path) => path.startsWith(`${root}/`))
    .map((path) => relative(root, path))
}

function copy(path, tree) {
  const from = join(root, path)
  if (existsSync(from)) copyAs(from, join(tree, path))
}

function copyAs(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true, verbatimSymlinks: true })
}

function makeDisk(tree, disk) {
  rmSync(disk, { force: true })
  const made = spawnSync(findProgram('mkfs.ext4'), ['-q', '-L', 'payload', '-d', tree, disk, '1G'], {
    encoding: 'utf8',
  })
  if (made.status !== 0) stop(`mkfs.ext4 failed: ${made.stderr}`)
  return disk
}
