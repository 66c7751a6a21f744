// Small build contexts with everything that a COPY has to know about: modes, links, names with blanks, archives.
import { spawnSync } from 'node:child_process'
import { chmodSync, linkSync, lutimesSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

// Long ago, so that what keeps its time can be told from what was made by the build.
const OLD = 1_500_000_000

const FILES = {
  'a.txt': 'a\n',
  'b.txt': 'b\n',
  'README.md': '# x\n',
  'dir/x': 'x\n',
  'dir/y.md': 'y\n',
  'dir/sub/z': 'z\n',
  'dir/sub/z.md': 'z\n',
  'dir/.hidden': 'h\n',
  'sp ace/f 1': 'f\n',
  '[b]racket': 'br\n',
  dollar$A: 'd\n',
}

/** Fills a directory; `random` decides about its ignore file. */
export function writeContext(directory, random) {
  for (const [name, content] of Object.entries(FILES)) write(join(directory, name), content)
  write(join(directory, 'exec.sh'), '#!/bin/sh\n')
  chmodSync(join(directory, 'exec.sh'), 0o4755)
  chmodSync(join(directory, 'b.txt'), 0o600)
  mkdirSync(join(directory, 'empty'))
  chmodSync(join(directory, 'empty'), 0o1777)
  chmodSync(join(directory, 'dir/sub'), 0o700)
  linkSync(join(directory, 'a.txt'), join(directory, 'dir/hard'))
  linkSync(join(directory, 'dir/x'), join(directory, 'dir/x2'))
  mkdirSync(join(directory, 'links'))
  for (const [name, target] of Object.entries({
    link: 'a.txt',
    'dir/up': '../a.txt',
    linkdir: 'dir',
    // A dangling link makes BuildKit refuse many a wildcard.
    ...(random.chance(0.15) && { dangling: 'nowhere' }),
    'links/abs': '/real',
    'links/rel': '../real',
    'links/dangling': '/made/here',
    'links/file': '/real/f',
    'links/out': '../../../../real',
  })) {
    symlinkSync(target, join(directory, name))
  }
  spawnSync('tar', [
    '-C',
    directory,
    '--mtime=@1400000000',
    '--owner=1000',
    '--group=1001',
    '-czf',
    join(directory, 'archive.tgz'),
    'dir',
    'a.txt',
    'links',
  ])
  spawnSync('tar', [
    '-C',
    directory,
    '--mtime=@1400000000',
    '-cf',
    join(directory, 'archive.tar'),
    'dir/sub',
    'link',
    'b.txt',
  ])
  if (random.chance(0.4)) write(join(directory, '.dockerignore'), ignoreFile(random))
  makeOld(directory)
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

function makeOld(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) makeOld(path)
    lutimesSync(path, OLD, OLD)
  }
}

function ignoreFile(random) {
  const pattern = () =>
    random.pick([
      'a.txt',
      '*.md',
      '**/*.md',
      'dir',
      'dir/*',
      'dir/**',
      'dir/sub',
      '*',
      '**',
      'd?r',
      '[ab].txt',
      'links',
      '/b.txt',
      './dir/x',
      'dir/../a.txt',
      '**/z',
      'sp*',
      '.hidden',
      '**/.hidden',
      'empty/',
      '*.t[gx]*',
      'Dockerfile',
      '# x',
      '',
    ])
  return random.many(1, 4, () => (random.chance(0.3) ? random.pick(['!', '! ']) : '') + pattern()).join('\n') + '\n'
}
