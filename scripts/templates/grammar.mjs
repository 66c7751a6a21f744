// Draws templates: mostly such as people write, some with mistakes, some broken by one character.

const fields = [
  'RepoTags',
  'RepoDigests',
  'Comment',
  'Author',
  'Config.Env',
  'Config.Cmd',
  'Config.Labels',
  'Config.Labels.z',
  'Config.User',
  'Config.ExposedPorts',
  'Config.Healthcheck.Interval',
  'Config.Healthcheck.Test',
  'Config.Volumes',
  'Architecture',
  'Os',
  'Size',
  'RootFS.Layers',
  'Metadata.LastTagTime',
  'Id',
  'ID',
  'Created',
  'Config.Nope',
  'Deep.er.est',
  'Deep.Nil',
  'Deep.Port',
  'Big',
  'Ratio',
  'Neg',
  'Yes',
  'No',
  'None',
  'EmptyList',
  'EmptyMap',
  'Mixed',
  'Uni',
  'Nope',
  'Nope.Deeper',
  'None.x',
  'Comment.x',
  'RootFS',
]
const strings = [
  '"a"',
  '","',
  '""',
  '"%v"',
  '"%s|%q"',
  '"%d %x"',
  '"%5d|%-5s"',
  '"%05d"',
  '"%.2f"',
  '"%t"',
  '"%T"',
  '"%#v"',
  '"%+v"',
  '"%[2]v %[1]v"',
  '"%*d"',
  String.raw`"x\ty"`,
  '`raw"q`',
  '"é日"',
  '"a.b"',
  '"Labels"',
  '":"',
  '" "',
  '"%U %c"',
  '"%e %g"',
  '"%!"',
  '"%"',
  '"%z"',
  '"%08.3f|%+d"',
  '"% x"',
  '"%#x"',
  String.raw`"\u00e9\x41\101"`,
]
const numbers = [
  '0',
  '1',
  '2',
  '3',
  '-1',
  '5',
  '10',
  '0x1F',
  '0b11',
  '0o17',
  '1_000',
  '1.5',
  '1e3',
  "'a'",
  String.raw`'\n'`,
  '.5',
  '100000',
  '1e100',
  '017',
  '0x1p4',
  '9223372036854775807',
  '9223372036854775808',
  '1e6',
  '123456789.0',
  '-0.0',
]
const functions = [
  'and',
  'or',
  'not',
  'len',
  'index',
  'slice',
  'print',
  'printf',
  'println',
  'html',
  'js',
  'urlquery',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'json',
  'join',
  'split',
  'title',
  'lower',
  'upper',
  'pad',
  'truncate',
  'call',
]
/** Calls that go well. */
const calls = {
  len: [['.RepoTags', '.Comment', '.Config.Labels', '.Mixed']],
  join: [
    ['.RepoTags', '.Config.Env', '.Config.Cmd', '.Config.Labels', '.Mixed'],
    ['","', '" "'],
  ],
  split: [
    ['.Comment', '.Author', '"a,b"'],
    ['":"', '","', '"l"', '""'],
  ],
  title: [['.Comment', '"foo bar-baz x_y"']],
  lower: [['.Comment', '.Os']],
  upper: [['.Comment', '.Architecture']],
  json: [['.Config.Labels', '.Uni', '.Mixed', '.RepoTags', '.Size', '.RootFS.Layers', '.Config.ExposedPorts']],
  pad: [
    ['.Os', '.Comment'],
    ['1', '3'],
    ['0', '2'],
  ],
  truncate: [
    ['.Os', '.Comment'],
    ['3', '2', '4'],
  ],
  index: [
    ['.RepoTags', '.Mixed', '.Config.Labels', '.Comment'],
    ['0', '1', '2', '"a.b"', '"Cmd"'],
  ],
  slice: [
    ['.Comment', '.RepoTags', '.Os'],
    ['0', '1'],
    ['1', '2', '3'],
  ],
  printf: [
    ['"%s"', '"%-8v|"', '"%q"', '"%8.3v"', '"%x"', '"%#v"'],
    ['.Os', '.Size', '.RepoTags', '.Config.Labels'],
  ],
  eq: [
    ['.Os', '.Architecture'],
    ['"linux"', '"arm64" "amd64"', '.Os'],
  ],
  gt: [
    ['.Size', '(len .RepoTags)'],
    ['2', '1000', '(len .Config.Env)'],
  ],
}
const pipes = [
  'json',
  'len',
  'upper',
  'printf "%v"',
  'printf "%q"',
  'html',
  'print',
  'not',
  'lower',
  'title',
  'index .RepoTags',
  'join ","',
  'println',
  'urlquery',
  'js',
  'printf "%5.1f"',
  'eq 1',
  'truncate .Comment',
]
const lists = [
  '.RepoTags',
  '.Config.Env',
  '.Config.Labels',
  '.Config.ExposedPorts',
  '.Mixed',
  '3',
  '.EmptyList',
  '.None',
  '.Size',
  '.Config.Cmd',
  '.EmptyMap',
  '.RootFS.Layers',
  '(slice .Config.Env 1)',
]
const mistakes = [
  'break',
  'continue',
  'end',
  'else',
  'nil',
  '',
  'template',
  '.Os.',
  '$x',
  '$',
  '(',
  ')',
  '"',
  "'",
  ',',
  '.Os , 1',
  '@',
  '1x',
  '.é',
  '$é := 1',
  'range',
  'if',
  'define "z"',
  '/*',
  'true.x',
  '"a".b',
  '(1).x',
  '1 | 2',
  'nofn 1',
  '.Os 1',
  'nil.x',
  '|',
  '1 |',
  '#',
  'else if',
  'with',
  '.Size | .Os',
]
const texts = ['', ' ', 'x', ' \n ', 'a b', '}', '{', 'é', '\t', '"', ': ', ', ']

/** One template; the same of the same chance. */
export function drawTemplate(random) {
  const { chance, pick } = random
  const state = { ...random, variables: ['$'] }
  const defined = chance(0.3) ? '{{define "t"}}<{{.}}>{{end}}' : ''
  const body = chance(0.7) ? pick(texts) + drawNode(state, 1) + pick(texts) : drawNodes(state, 3)
  const template = defined + body
  if (!chance(0.08)) return template
  const at = random.int(0, template.length)
  return (
    template.slice(0, at) + pick(['', '{', '}', ' ', '"', '(', '.', '\n', '|']) + template.slice(at + random.int(0, 1))
  )
}

function drawNodes(state, depth) {
  return state.pick(texts) + state.many(1, 3, () => drawNode(state, depth) + state.pick(texts)).join('')
}

function action({ pick }, inner) {
  return pick(['{{', '{{', '{{', '{{- ', '{{ ']) + inner + pick(['}}', '}}', '}}', ' -}}', ' }}'])
}

function drawNode(state, depth) {
  const kinds = [
    [55, () => action(state, drawPipe(state, 2))],
    [10, () => drawBlock(state, depth, 'if')],
    [7, () => drawBlock(state, depth, 'with')],
    [14, () => drawRange(state, depth)],
    [6, () => drawVariable(state)],
    [2, () => action(state, `/* ${state.pick(['c', ' }} ', '"'])} */`)],
    [
      2,
      () => action(state, `template ${state.pick(['"t"', '`t`', '"u"'])}${state.pick([' .Os', ' .Config.Cmd', ''])}`),
    ],
    [
      1,
      () =>
        action(state, `block "b${state.int(0, 999)}" ${drawPipe(state, 1)}`) +
        drawNodes(state, 0) +
        action(state, 'end'),
    ],
    [3, () => action(state, state.pick(mistakes))],
  ]
  return depth <= 0 ? kinds[0][1]() : state.weighted(kinds)()
}

/** What is declared within a block is not known behind it. */
function scoped(state, draw) {
  const known = [...state.variables]
  const drawn = draw()
  state.variables = known
  return drawn
}

function drawBlock(state, depth, kind) {
  const { chance } = state
  return scoped(state, () => {
    let drawn = action(state, `${kind} ${kind === 'with' && chance(0.3) ? '$w := ' : ''}${drawPipe(state, 1)}`)
    drawn += scoped(state, () => drawNodes(state, depth - 1))
    if (chance(0.25))
      drawn += action(state, `else ${kind} ${drawPipe(state, 1)}`) + scoped(state, () => drawNodes(state, depth - 1))
    if (chance(0.5)) drawn += action(state, 'else') + scoped(state, () => drawNodes(state, depth - 1))
    return drawn + action(state, 'end')
  })
}

function drawRange(state, depth) {
  const { chance, pick } = state
  return scoped(state, () => {
    const declared = pick(['', '', '$v := ', '$k, $v := '])
    const head = action(state, `range ${declared}${chance(0.8) ? pick(lists) : drawPipe(state, 1)}`)
    if (declared !== '') state.variables.push('$v')
    if (declared.includes('$k')) state.variables.push('$k')
    let drawn = head + (chance(0.5) ? '{{.}}' : drawNodes(state, depth - 1))
    if (chance(0.15)) drawn += `{{if ${drawPipe(state, 0)}}}${action(state, pick(['break', 'continue']))}{{end}}`
    if (chance(0.3)) drawn += action(state, 'else') + drawNodes(state, depth - 1)
    return drawn + action(state, 'end')
  })
}

function drawVariable(state) {
  const name = state.pick(['$a', '$b'])
  const sign = state.pick([' := ', ':=', ' = '])
  const drawn = action(state, name + sign + drawPipe(state, 1))
  if (sign.includes(':')) state.variables.push(name)
  return drawn
}

function drawPipe(state, depth) {
  let drawn = drawCommand(state, depth, true)
  while (state.chance(0.2))
    drawn += state.pick([' | ', '|', ' |']) + (state.chance(0.8) ? state.pick(pipes) : drawCommand(state, depth, false))
  return drawn
}

function drawCommand(state, depth, isFirst) {
  const { chance, pick } = state
  if (chance(0.55)) {
    const name = pick(functions)
    const good = calls[name]
    if (good !== undefined && chance(0.8)) return [name, ...good.map(pick)].join(' ')
    return [name, ...state.many(0, 3, () => drawOperand(state, depth))].join(' ')
  }
  return isFirst || chance(0.2) ? drawOperand(state, depth) : pick(functions)
}

function drawOperand(state, depth) {
  const { chance, pick, weighted } = state
  return weighted([
    [55, () => `.${pick(fields)}`],
    [13, () => pick(strings)],
    [12, () => pick(numbers)],
    [6, () => pick(['true', 'false', 'nil'])],
    [6, () => drawName(state)],
    [
      8,
      () =>
        depth > 0 ? `(${drawPipe(state, depth - 1)})${chance(0.1) ? `.${pick(fields)}` : ''}` : `.${pick(fields)}`,
    ],
  ])()
}

function drawName({ chance, pick, variables }) {
  const name = pick(variables)
  if (name === '$') return `$.${pick(fields)}`
  return chance(0.1) ? `${name}.x` : name
}
