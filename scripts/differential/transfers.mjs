// Dockerfiles of COPY and ADD alone, drawn for a context whose entries are known, so that most of them are built.

const DESTINATIONS = [
  '/',
  '/d',
  '/d/',
  '/new',
  '/new/',
  '/new/er/',
  '/new/er/name',
  'rel',
  'rel/',
  '.',
  './',
  '../up/',
  '/links/dir',
  '/links/dir/',
  '/links/dir/in/',
  '/links/dangling',
  '/links/dangling/',
  '/links/long/',
  '/links/out/',
  '/links/up/x/',
  '/d/sub',
  '/d/sub/',
  '/owned/',
  '/owned/deep/er/',
]
const OVER_FILES = ['/links/file', '/d/f', '/links/up/d/f', '/new/f']

// What destinations meet: directories with owners and modes, and links of each kind, relative, absolute, dangling, climbing.
const SET_UP = [
  'mkdir -p /d/sub /owned /real/dir /links',
  'echo f > /d/f',
  'echo r > /real/f',
  'chown 5:6 /owned',
  'chmod 2750 /owned',
  'ln -s /real/dir /links/dir',
  'ln -s ../real/f /links/file',
  'ln -s /made/here /links/dangling',
  'ln -s dir /links/long',
  'ln -s ../../../../real /links/out',
  'ln -s .. /links/up',
  'touch -d @1400000000 /d/sub /d /owned /real/dir /real /links',
]
// What COPY --from takes: devices, FIFOs, names of one file, set-id bits, all that a context cannot bring.
const SOURCE_STAGE = [
  'mkdir -p /s/dir/sub /s/empty',
  'echo 1 > /s/one',
  'ln /s/one /s/two',
  'ln /s/one /s/dir/three',
  'ln -s one /s/link',
  'ln -s /s/dir /s/absolute',
  'ln -s nowhere /s/dangling',
  'ln -s ../../../s/one /s/dir/climb',
  'mkfifo /s/dir/fifo',
  'echo x > /s/dir/set',
  'chown 1000:100 /s/dir/set /s/empty',
  'chmod 4755 /s/dir/set',
  'chmod 1777 /s/empty',
  'echo big | dd of=/s/dir/sparse bs=1 seek=200000 2>/dev/null',
  'touch -h -d @1300000000 /s/one /s/link /s/dir/set /s/dir/sub /s/dir /s/empty',
]
const STAGE_SOURCES = [
  '/s',
  's/',
  '/s/*',
  '/s/dir',
  '/s/dir/',
  '/s/dir/*',
  '/s/one',
  '/s/link',
  '/s/absolute',
  '/s/absolute/',
  '/s/absolute/sub',
  '/s/d*/s*',
  '/s/empty',
  '/s/./dir/../one',
  '../s/one',
  '/s/dir/climb',
  '/s/t?o',
]
const IMAGE_SOURCES = ['/etc/passwd', '/etc', '/etc/', '/bin/busybox', '/root', '/etc/*w*', '/etc/./group', '/tmp']

/** One Dockerfile; `base` has a shell, `entries` are the context's, `image` is one to take files from. */
export function drawTransfers(random, { base, entries, image = base, hasParents = false }) {
  const lines = [
    `FROM ${base} AS source`,
    `RUN ${SOURCE_STAGE.join(' && ')}`,
    `FROM ${base}`,
    `RUN ${SET_UP.join(' && ')}`,
  ]
  if (random.chance(0.4))
    lines.push(`WORKDIR ${random.pick(['/w', '/links/dir', 'w', '/d/sub', '/links/dangling', '/w/x/'])}`)
  if (random.chance(0.2)) lines.push(`USER ${random.pick(['daemon', '1000:1000', 'nobody'])}`)
  for (const line of random.many(2, 6, () => transfer(random, { entries, image, hasParents }))) lines.push(line)
  if (random.chance(0.3))
    lines.push(`FROM ${base}`, `COPY ${random.pick(['--link ', '', '--chown=3:4 '])}--from=1 /d /links /new* /copied/`)
  return `${lines.join('\n')}\n`
}

function transfer(random, { entries, image, hasParents }) {
  if (random.chance(0.08)) return heredoc(random)
  const keyword = random.chance(0.7) ? 'COPY' : 'ADD'
  const flags = drawFlags(random, keyword === 'COPY' && hasParents)
  const from =
    keyword === 'COPY'
      ? random.weighted([
          [6, ''],
          [3, 'source'],
          [1, image],
        ])
      : ''
  const sources =
    from === '' ? contextSources(random, entries) : [random.pick(from === 'source' ? STAGE_SOURCES : IMAGE_SOURCES)]
  if (from !== '') flags.push(`--from=${from}`)
  const isMany = sources.length > 1 || /[*?[]/.test(sources[0])
  let destination = random.pick(DESTINATIONS)
  if (isMany && !destination.endsWith('/') && random.chance(0.99)) destination += '/'
  else if (!isMany && random.chance(0.1)) destination = random.pick(OVER_FILES)
  return [keyword, ...flags, JSON.stringify([...sources, destination])].join(' ')
}

function drawFlags(random, hasParents) {
  const flags = []
  if (random.chance(0.3))
    flags.push(
      `--chown=${random.pick(['1', '1:2', '1000:1000', ':7', 'daemon', 'nobody', 'daemon:nobody', '5:daemon', 'unknown', '0', '3000000:3000000', 'root:bin'])}`,
    )
  if (random.chance(0.3))
    flags.push(
      `--chmod=${random.pick(['755', '0640', '4711', '7777', '0', 'u=rwX,go=rX', 'a+x', 'go-w', 'u+s', 'g+s', '+t', 'a=', 'ug=rw,o=r', 'a-x,a+X', 'u=g', '-w', 'go=u-w'])}`,
    )
  if (random.chance(0.25)) flags.push('--link')
  for (const pattern of random.many(0, random.chance(0.25) ? 2 : 0, () =>
    random.pick([
      '*.md',
      '**/*.txt',
      'lib',
      '**/a',
      's*',
      '**/.dot',
      '*',
      '!a',
      '**/s*/*',
      '[a-c]*',
      'lib/**',
      '**/ünï',
      '/a',
      './b.txt',
    ]),
  ))
    flags.push(`--exclude=${pattern}`)
  if (hasParents && random.chance(0.15)) flags.push('--parents')
  return flags
}

function contextSources(random, entries) {
  const usable = entries.filter(({ kind }) => kind === 'file' || kind === 'dir' || kind.startsWith('link'))
  const one = () => {
    const { path, kind } = usable.length > 0 ? random.pick(usable) : { path: '.', kind: 'dir' }
    const plain = escapeWildcards(path)
    const isDirectory = kind === 'dir' || kind === 'link to dir'
    return random.weighted([
      [5, plain],
      [1, `/${plain}`],
      [1, `./${plain}`],
      [isDirectory ? 2 : 0, `${plain}/`],
      [isDirectory ? 1 : 0, `${plain}/.`],
      [isDirectory ? 1.5 : 0, `${plain}/*`],
      [0.5, `no/../${plain}`],
      [1.5, wildcardFor(random, path)],
      [0.5, '.'],
      [0.3, '*'],
      [0.2, 'nothing*'],
      [0.1, `../${plain}`],
    ])
  }
  return random.many(1, random.chance(0.25) ? 3 : 1, one)
}

// As patterns: behind a backslash they make none, and the backslash stays; BuildKit sends no file for a class of `*`.
const escapeWildcards = (text) => text.replace(/[[]/g, '[$&]').replace(/[*?]/g, '?').replace(/[$'"]/g, '\\$&')

// The last name with one letter replaced, or cut short: a pattern that finds it, and maybe others.
function wildcardFor(random, path) {
  const slash = path.lastIndexOf('/') + 1
  const letters = Array.from(path.slice(slash))
  const at = random.int(0, letters.length - 1)
  const name = random.chance(0.5)
    ? `${escapeWildcards(letters.slice(0, at).join(''))}?${escapeWildcards(letters.slice(at + 1).join(''))}`
    : `${escapeWildcards(letters.slice(0, at).join(''))}*`
  return escapeWildcards(path.slice(0, slash)) + name
}

function heredoc(random) {
  const flags = random.pick(['', '--chmod=0711 ', '--chown=1:2 ', '--link ', '--chmod=u=rw,go= '])
  const name = random.pick(['EOF', '"note.txt"', 'x'])
  return `COPY ${flags}<<${name} ${random.pick(['/h', '/h/', '/links/dir/', '/links/file', '/d', '/new/h'])}\ntext $HOME\n${name.replaceAll('"', '')}`
}
