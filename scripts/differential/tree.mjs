// Random build contexts: every kind of entry that a directory can hold, under every kind of name.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

const NAMES = [
  'a',
  'b.txt',
  'c.md',
  'lib',
  'src',
  'UPPER',
  'sp ace',
  'ünï',
  '*star',
  'q?',
  '[br]',
  '-dash',
  '.dot',
  '..dots',
  'tilde~',
  '100%41',
  'hash#',
  'dol$lar',
  "quo'te",
  'dq"',
  'com,ma',
  'col:on',
  'at@',
  'eq=',
  'plus+',
  `long-${'n'.repeat(150)}`,
]
const FILE_MODES = [0o644, 0o644, 0o600, 0o755, 0o4755, 0o2755, 0o1644, 0o6711, 0o000, 0o444, 0o777]
const DIRECTORY_MODES = [0o755, 0o755, 0o700, 0o777, 0o1777, 0o2775, 0o555, 0o750]
const OLD = 1_500_000_000

/**
 * Fills a directory and answers `[{path, kind}]` of what is in it; kinds: file, dir, link, dangling, fifo.
 * Nothing in it depends on the machine.
 */
export function writeTree(directory, random) {
  // A wildcard that meets a dangling link is refused.
  const isDangling = random.chance(0.2) ? 1 : 0
  const entries = []
  const later = []
  const files = []

  const fill = (path, depth) => {
    const used = new Set()
    for (let left = random.int(depth === 0 ? 5 : 1, depth === 0 ? 9 : 4); left > 0; left--) {
      const name = random.pick(NAMES)
      if (used.has(name)) continue
      used.add(name)
      const child = path === '' ? name : `${path}/${name}`
      random.weighted([
        [6, () => file(child)],
        [depth < 3 ? 4 : 0, () => folder(child, depth)],
        [2.5, () => link(child, path)],
        [files.length > 0 ? 1.5 : 0, () => hardLink(child)],
        [0.4, () => fifo(child)],
      ])()
    }
  }
  const put = (path, kind, mode, time = OLD + random.int(0, 1_000_000)) => {
    entries.push({ path, kind })
    later.push(() => {
      if (mode !== undefined) chmodSync(join(directory, path), mode)
      lutimesSync(join(directory, path), time, time)
    })
  }
  const file = (path) => {
    if (random.chance(0.1)) writeSparse(join(directory, path), random)
    else writeFileSync(join(directory, path), random.chance(0.15) ? '' : `${path}\n`.repeat(random.int(1, 40)))
    files.push(path)
    put(path, 'file', random.pick(FILE_MODES))
  }
  const folder = (path, depth) => {
    mkdirSync(join(directory, path))
    fill(path, depth + 1)
    put(path, 'dir', random.pick(DIRECTORY_MODES))
  }
  const link = (path, parent) => {
    const up = parent === '' ? '' : '../'.repeat(parent.split('/').length)
    const known = entries.length > 0 ? random.pick(entries) : { path: '.', kind: 'dir' }
    const [target, kind] = random.weighted([
      [5, [`${up}${known.path}`, known.kind]],
      [1.5, [`/${known.path}`, known.kind]],
      [isDangling * 0.7, ['no/where', 'dangling']],
      [isDangling * 0.3, ['../'.repeat(9) + 'etc/passwd', 'dangling']],
      [isDangling * 0.3, [path.split('/').at(-1), 'dangling']],
      [0.2, ['.', 'dir']],
      [isDangling * 0.3, ['/etc', 'dangling']],
    ])
    symlinkSync(target, join(directory, path))
    put(path, kind === 'file' || kind === 'dir' ? `link to ${kind}` : 'dangling')
  }
  const hardLink = (path) => {
    linkSync(join(directory, random.pick(files)), join(directory, path))
    entries.push({ path, kind: 'file' })
  }
  const fifo = (path) => {
    spawnSync('mkfifo', ['--', join(directory, path)])
    put(path, 'fifo', 0o640)
  }

  fill('', 0)
  for (const finish of later) finish()
  return entries
}

function writeSparse(path, random) {
  const size = random.int(1, 3) * 100_000
  const descriptor = openSync(path, 'wx')
  ftruncateSync(descriptor, size)
  if (random.chance(0.7)) writeSync(descriptor, 'data', random.int(0, size - 4))
  closeSync(descriptor)
}
