// The second disk: the compiled packages with what they need of node_modules, a Node, a busybox, and the checks.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyAs, copyProgram } from '../../program-tree.mjs'
import { stop } from '../../setup.mjs'
import { findProgram } from './requirements.mjs'

const others = ['package.json', 'scripts', 'fixtures/quickstart']

/**
 * Makes `payload.ext4` in the work directory, anew each time, and returns its path.
 * @param checks names of those that shall run
 */
export function preparePayload(workDirectory, checks) {
  const tree = mkdtempSync(join(workDirectory, 'payload-'))
  try {
    copyProgram(tree, others)
    copyAs(realpathSync(findProgram('busybox')), join(tree, 'bin/busybox'))
    writeFileSync(join(tree, 'checks'), checks.map((name) => `${name}\n`).join(''))
    return makeDisk(tree, join(workDirectory, 'payload.ext4'))
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

function makeDisk(tree, disk) {
  rmSync(disk, { force: true })
  const made = spawnSync(findProgram('mkfs.ext4'), ['-q', '-L', 'payload', '-d', tree, disk, '1G'], {
    encoding: 'utf8',
  })
  if (made.status !== 0) stop(`mkfs.ext4 failed: ${made.stderr}`)
  return disk
}
