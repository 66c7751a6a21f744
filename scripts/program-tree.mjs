// The compiled command as a tree that another system runs: packages, what they need of node_modules, and a Node.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { environment, nodeBinary, root, stop } from './setup.mjs'

const packageParts = ['package.json', 'bin', 'dist']

/**
 * Copies into an empty directory what `tsbuild` needs at run time: `packages/cli/bin/run.js` and `bin/node`.
 * @param parts further paths of the checkout
 */
export function copyProgram(tree, parts) {
  for (const name of ['runtime', 'builder', 'cli'])
    for (const part of packageParts) copy(join('packages', name, part), tree)
  for (const part of [...parts, ...neededModules()]) copy(part, tree)
  copyAs(realpathSync(nodeBinary()), join(tree, 'bin/node'))
}

export function copyAs(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true, verbatimSymlinks: true })
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
