// Dockerfiles drawn from a grammar: most of them valid, every keyword and flag, and the ways in which people break them.
import { createWords, DEFINITIONS } from './words.mjs'

const SOURCES = [
  'a.txt',
  'b.txt',
  'dir',
  'dir/',
  'dir/x',
  'dir/sub',
  'empty',
  'link',
  'linkdir',
  'linkdir/',
  'exec.sh',
  '*.txt',
  'dir/*',
  'd*',
  '*',
  '.',
  './',
  '/',
  './dir/../a.txt',
  '/a.txt',
  '../a.txt',
  'miss*',
  '?.txt',
  '[ab].txt',
  'links',
  'dir/.hidden',
  'dir/sub/..',
  'dir/hard',
  'archive.tar',
  'dir/*.md',
  '*/x',
  'l*',
  'dollar*',
]
const STAGE_SOURCES = ['/', '.', '*', 'd*', '/d*', '[a-z]*', 'links', '/w*', 'h', './*/', 'opt']
const WRONG_SOURCES = ['missing', 'dangling', 'links/abs', '"sp', 'dir/missing', '$UNSET', 'a.txt/x', '[a']
const DESTINATIONS = [
  '/',
  '/d',
  '/d/',
  'd',
  'd/',
  '.',
  './',
  '/deep/er/',
  '/deep/er/file',
  '..',
  '../x',
  '/links/abs/',
  '/links/abs/f',
  '/links/rel/',
  '/links/dangling/',
  '/links/dangling',
  '/links/file',
  '/links/out/',
  '/a.txt',
  '/d/a.txt',
  '$DIR',
  '$DIR/',
  '${UNSET:-/d}/',
  '/d//x/',
]
const STAGES = ['base', 'build', 'one', 'two', 'final']

// Most of what is drawn is to be built, so that what comes after it is reached.
const mostly = (random, good, bad) => random.pick(random.chance(0.04) ? bad : good)

/** One Dockerfile. `base` is an image with a shell and a /bin/true, if there is one. */
export function drawDockerfile(random, { base, head = false } = {}) {
  const words = createWords(random)
  const file = { random, words, base, head, stages: [], stageIndex: -1, escape: random.chance(0.05) ? '`' : '\\' }
  const lines = [...directives(file), ...globalArgs(file)]
  const count = random.weighted([
    [5, 1],
    [4, 2],
    [2, 3],
    [1, 4],
  ])
  for (let index = 0; index < count; index++) lines.push(...stage(file, index, count))
  let text = lines.join('\n') + (random.chance(0.1) ? '' : '\n')
  if (random.chance(0.03)) text = text.replaceAll('\n', '\r\n')
  if (random.chance(0.02)) text = `\ufeff${text}`
  if (random.chance(0.15)) text = breakText(text, random)
  return text
}

function directives({ random, escape }) {
  const lines = []
  if (escape === '`') lines.push(random.pick(['# escape=`', '#escape = `', '# ESCAPE=`']))
  if (random.chance(0.05)) lines.push(random.pick(['# check=skip=all', '# check=error=false', '# foo=bar']))
  if (random.chance(0.1)) lines.push('# a comment', ...(random.chance(0.3) ? ['', '#'] : []))
  return lines
}

function globalArgs({ random }) {
  return random.chance(0.3)
    ? [random.pick(['ARG BASE=scratch', 'ARG BASE=scratch\nARG A=global', 'ARG A', 'ARG A=1 B=2'])]
    : []
}

function stage(file, index, count) {
  const { random } = file
  file.stageIndex = index
  const earlier = file.stages.slice(0, index).filter(Boolean)
  const from = random.weighted([
    [6, () => file.base ?? 'scratch'],
    [2, () => 'scratch'],
    [earlier.length > 0 ? 4 : 0, () => random.pick(earlier)],
    [0.3, () => '${BASE:-scratch}'],
    [0.05, () => '$UNSET'],
  ])()
  const name = random.chance(index < count - 1 ? 0.8 : 0.2) ? random.pick(STAGES) : undefined
  file.stages[index] = name
  const as =
    name === undefined ? '' : ` ${random.pick(['AS', 'as', 'As'])} ${random.chance(0.1) ? name.toUpperCase() : name}`
  const platform = random.chance(0.05) ? '--platform=$TARGETPLATFORM ' : ''
  const keyword = random.chance(0.1) ? 'from' : 'FROM'
  const setUp = Object.entries(DEFINITIONS)
    .filter(() => random.chance(0.6))
    .map(([key, value]) => `${random.pick(['ENV', 'ARG'])} ${key}=${value}`)
  const links = random.chance(0.25) ? ['COPY links /links'] : []
  return [`${keyword} ${platform}${from}${as}`, ...setUp, ...links, ...random.many(1, 5, () => instruction(file))]
}

function instruction(file) {
  const { random } = file
  const line = random.weighted([
    [5, copy],
    [3, add],
    [3, env],
    [2, arg],
    [2, label],
    [2.5, workdir],
    [1, user],
    [1.5, command],
    [1.5, expose],
    [1, volume],
    [0.5, stopsignal],
    [1, healthcheck],
    [0.7, shell],
    [1, onbuild],
    [0.2, maintainer],
    [2, heredocCopy],
    [file.base === undefined ? 0 : 3, run],
  ])(file)
  return decorate(line, file)
}

// Comments, continuations and blanks where they change nothing, or should not.
function decorate(line, { random, escape }) {
  let text = line
  if (escape === '`') text = text.replaceAll('\\', '`')
  if (random.chance(0.15))
    text = text.replace(
      ' ',
      () => ` ${escape}${random.pick(['', ' ', '\t'])}\n${random.pick(['', '  ', '# c\n', '   # c\n', '\n'])}`,
    )
  if (random.chance(0.05)) text = text.replace(/^\w+/, (keyword) => keyword.toLowerCase())
  if (random.chance(0.1)) text = random.pick(['  ', '\t']) + text
  if (random.chance(0.1)) text = `${random.pick(['# comment', '', '#', '  # indented'])}\n${text}`
  return text
}

const owner = (random) =>
  mostly(
    random,
    ['1', '1:2', '0:0', '1000', ':5', 'nobody', 'root', 'a:b', '$A', '$UNSET', '7:a'],
    ['4294967295', '-1', '1:2:3', 'a b'],
  )
const mode = (random) =>
  mostly(
    random,
    ['0755', '644', '0640', '4755', '1777', 'u=rwX,go=rX', 'a+x', 'go-w', '$UNSET', 'u=rw,g=r,o=', '0'],
    ['9', '0x', '77777', 'u+q'],
  )

function copyFlags({ random, stages, stageIndex }, keyword) {
  const flags = []
  if (random.chance(0.2)) flags.push(`--chown=${owner(random)}`)
  if (random.chance(0.15)) flags.push(`--chmod=${mode(random)}`)
  if (random.chance(0.12)) flags.push(random.pick(['--link', '--link=true', '--link=false']))
  if (random.chance(0.1)) flags.push(`--exclude=${random.pick(['*.md', '**/*.md', 'sub', 'x*', 'dir/x', '**/z'])}`)
  const earlier = stages.slice(0, stageIndex).flatMap((name, index) => (name ? [name, String(index)] : [String(index)]))
  if (keyword === 'COPY' && earlier.length > 0 && random.chance(0.4)) flags.push(`--from=${random.pick(earlier)}`)
  else if (keyword === 'COPY' && random.chance(0.02))
    flags.push(random.pick(['--from=scratch', '--from=9', '--from=$A']))
  return flags
}

function transfer(file, keyword) {
  const { random, words } = file
  const sources = random.many(1, random.chance(0.2) ? 3 : 1, () =>
    random.chance(0.02) ? words.word() : mostly(random, SOURCES, WRONG_SOURCES),
  )
  if (keyword === 'ADD' && random.chance(0.4)) sources[0] = random.pick(['archive.tgz', 'archive.tar'])
  const destination = random.chance(0.05) ? words.word() : random.pick(DESTINATIONS)
  const flags = copyFlags(file, keyword)
  if (flags.some((flag) => flag.startsWith('--from=')) && random.chance(0.9))
    sources.splice(0, Infinity, random.pick(STAGE_SOURCES))
  if (keyword === 'ADD' && random.chance(0.1)) flags.push(random.pick(['--unpack', '--unpack=false', '--keep-git-dir']))
  const all = [...sources, destination]
  const args = random.chance(0.12)
    ? JSON.stringify(random.chance(0.3) ? ['sp ace/f 1', destination] : all)
    : all.join(' ')
  return [keyword, ...flags, args].join(' ')
}

const copy = (file) => transfer(file, 'COPY')
const add = (file) => transfer(file, 'ADD')

function heredocCopy({ random, words }) {
  const names = random.many(1, random.chance(0.2) ? 2 : 1, () => random.pick(['EOF', 'file.txt', 'E']))
  const starts = names.map(
    (name) =>
      `${random.chance(0.2) ? '<<-' : '<<'}${random.weighted([
        [4, name],
        [1, `"${name}"`],
        [1, `'${name}'`],
        [0.5, `${name[0]}"${name.slice(1)}"`],
      ])}`,
  )
  const line = () =>
    random.pick([
      () => words.word(),
      () => '# no comment',
      () => 'a \\',
      () => '\ttabbed',
      () => '',
      () => '"quoted" $A',
    ])()
  const bodies = names.map((name) => [...random.many(0, 3, line), random.chance(0.1) ? `\t${name}` : name].join('\n'))
  const flags = random.chance(0.2) ? [`--chmod=${random.pick(['0755', '600'])}`] : []
  return [
    [random.pick(['COPY', 'COPY', 'ADD']), ...flags, ...starts, random.pick(['/h', '/h/', 'h', '/h/h/'])].join(' '),
    ...bodies,
  ].join('\n')
}

function pairs({ random, words }, keyword) {
  if (random.chance(0.15)) return `${keyword} ${words.name()} ${words.word()}  ${words.word()}`
  const key = () =>
    keyword === 'LABEL'
      ? random.pick(['l', 'org.x/y', '"a b"', '$A', 'k'])
      : random.pick(['A', 'B', 'C', 'PATH', 'D_1', 'DIR'])
  const list = random.many(
    1,
    3,
    () => `${key()}=${random.chance(0.7) ? words.word() : random.pick(['', '"a  b"', "'x y'", 'a\\ b', 'a=b'])}`,
  )
  return `${keyword} ${list.join(random.pick([' ', '  ', ' \\\n    ']))}`
}

const env = (file) => pairs(file, 'ENV')
const label = (file) => pairs(file, 'LABEL')

function arg({ random, words }) {
  return `ARG ${random.many(1, random.chance(0.2) ? 3 : 1, () => `${words.name()}${random.chance(0.6) ? `=${words.word()}` : ''}`).join(' ')}`
}

function workdir({ random, words }) {
  return `WORKDIR ${random.weighted([
    [
      4,
      () =>
        random.pick([
          '/w',
          'w',
          'w/',
          '/w/x/',
          '..',
          '.',
          '/',
          '$DIR',
          '${UNSET:-/w}',
          '/links/abs',
          '/links/abs/in',
          '"/q uo"',
          '/w//y',
          'a/../b',
        ]),
    ],
    [1, words.word],
  ])()}`
}

function user({ random, words }) {
  return `USER ${random.pick(['1', '1:1', 'nobody', 'root', 'a b', '$A', '$UNSET', words.word()])}`
}

function command({ random, words }) {
  const form = random.pick([
    () => `["a", "b ${words.literal()}"]`,
    () => '[]',
    () => `["a",]`,
    () => `['a']`,
    () => `echo ${words.word()}   x`,
    () => '',
    () => `["\\u0041\\n", "$A"]`,
    () => '[ "x" ] y',
    () => '<a> & "b"',
  ])()
  return `${random.pick(['CMD', 'ENTRYPOINT'])} ${form}`
}

function expose({ random }) {
  const port = () =>
    mostly(
      random,
      [
        '80',
        '443/tcp',
        '53/UDP',
        '8000-8003',
        '8080:80',
        '127.0.0.1:80:80',
        '${UNSET:-99}',
        '1/sctp',
        '${UNSET}',
        '"5 6"',
        '7/TCP',
        '3000-3001:4000-4001',
      ],
      ['$A', '70000', 'x', '80/foo', '90-80', '1:2:3:4', '-1', '/tcp'],
    )
  return `EXPOSE ${random.many(1, 3, port).join(' ')}`
}

function volume({ random, words }) {
  return `VOLUME ${random.pick([() => '/v', () => '/v /w', () => '["/a b", "/c"]', () => words.word(), () => '$DIR', () => 'rel'])()}`
}

function stopsignal({ random }) {
  return `STOPSIGNAL ${mostly(random, ['SIGTERM', 'KILL', '9', '${UNSET:-SIGINT}', 'sigterm', 'SIGRTMIN+3', 'usr1'], ['99', 'SIGFOO', '$UNSET', '0', 'a b'])}`
}

function healthcheck({ random }) {
  const flag = () =>
    mostly(
      random,
      ['--interval=5s', '--timeout=1m30s', '--start-period=0s', '--start-interval=500ms', '--retries=3'],
      ['--interval=1', '--timeout=1us', '--retries=x', '--retries=-1'],
    )
  const flags = [...new Set(random.many(0, 2, flag))]
  const check = mostly(
    random,
    ['NONE', 'CMD true', 'CMD ["a", "b"]', 'cmd x  y', 'CMD $A "b"'],
    ['CMD', 'FOO', 'NONE x', 'CMD []'],
  )
  return ['HEALTHCHECK', ...flags, check].join(' ')
}

function shell({ random }) {
  return `SHELL ${mostly(random, ['["/bin/sh", "-ec"]', '["powershell", "-c"]', '["/bin/sh", "-c"]'], ['[]', '/bin/sh', '[1]'])}`
}

function onbuild(file) {
  const { random } = file
  const inner = random.pick([copy, env, label, command, workdir, user, heredocCopy, expose])(file)
  return `ONBUILD ${random.chance(0.05) ? random.pick(['ONBUILD', 'FROM', 'MAINTAINER']) + ' x' : inner}`
}

function maintainer({ random }) {
  return `MAINTAINER ${random.pick(['me', 'Some One <a@b>', '"q" $A'])}`
}

function run({ random, words }) {
  return `RUN ${random.pick([
    () => 'true',
    () => `echo ${words.literal()} > /run-${words.literal()}`,
    () => '["/bin/true"]',
    () => `--network=none true`,
    () => `--mount=type=tmpfs,target=/t touch /t/x /kept`,
    () => `--mount=type=cache,target=/c touch /c/x`,
    () => `--mount=type=bind,source=dir,target=/m cp /m/x /copied`,
    () => 'rm -rf /d',
    () => `printf '%s' "$A" > /value`,
    () => '<<EOF\necho $A > /h1\necho "b" > /h2\nEOF',
    () => 'cat <<EOF > /h3\nx $A\nEOF',
    () => 'mkdir -p /real && ln -sf /real /l && chmod 700 /real',
    () => 'false',
  ])()}`
}

// Small damages at random places: what a slip of the fingers does.
function breakText(text, random) {
  let result = text
  for (const damage of random.many(1, 2, () => random.int(0, 6))) {
    const at = random.int(0, result.length)
    if (damage === 0) result = result.slice(0, at) + result.slice(at + 1)
    else if (damage === 1)
      result =
        result.slice(0, at) +
        random.pick(['"', "'", '\\', '$', '{', '}', '[', '=', ' ', '\n', '#', '<', '\t', '-', '\\\n']) +
        result.slice(at)
    else if (damage === 2)
      result = result.replace(
        random.pick(['COPY', 'ENV', 'FROM', 'ADD', 'WORKDIR', 'LABEL']),
        random.pick(['COPPY', 'EVN', 'FORM', 'AD', 'WORKDIRR', 'X']),
      )
    else if (damage === 3)
      result = result.replace(/--\w+/, (flag) => random.pick([flag.slice(0, -1), `${flag}x`, `-${flag}`, `${flag} `]))
    else if (damage === 4) result = result.slice(0, at)
    else if (damage === 5) {
      const lines = result.split('\n')
      const line = random.int(0, lines.length - 1)
      lines.splice(line, 1, ...(random.chance(0.5) ? [] : [lines[line], lines[line]]))
      result = lines.join('\n')
    } else result = result.replace(/(--\S+)/, '$1 $1')
  }
  return result
}
