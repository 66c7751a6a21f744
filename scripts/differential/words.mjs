// Words with variables in them, in every form that the language has.

const NAMES = ['A', 'B', 'EMPTY', 'UNSET', 'DIR', 'PATH', 'LIST']

/** Definitions that make the variables worth expanding. */
export const DEFINITIONS = {
  A: 'alpha',
  B: '"two words"',
  EMPTY: '""',
  DIR: '/opt/app',
  LIST: 'x/y/z.tar.gz',
}

export function createWords(random) {
  const name = () => random.pick(NAMES)
  const literal = () => random.pick(['a', 'b', 'x1', '-', '_', '.', 'é', 'foo', '0'])
  const pattern = () => random.pick(['*', '?', '*.', '.*', 'a', '*/', '/*', 'x', '\\*', '??', '*a*', 'z.'])
  const inner = (depth) =>
    depth > 2 ? literal() : random.pick([literal, literal, () => variable(depth + 1), () => ''])()

  function variable(depth = 0) {
    const form = random.int(0, 12)
    const v = name()
    switch (form) {
      case 0:
      case 1:
        return `$${v}`
      case 2:
        return `\${${v}:-${inner(depth)}}`
      case 3:
        return `\${${v}-${inner(depth)}}`
      case 4:
        return `\${${v}:+${inner(depth)}}`
      case 5:
        return `\${${v}+${inner(depth)}}`
      case 6:
        return `\${${v}${random.pick(['#', '##', '%', '%%'])}${pattern()}}`
      case 7:
        return `\${${v}${random.pick(['/', '//'])}${pattern().replaceAll('/', '\\/')}/${inner(depth)}}`
      case 8:
        return random.chance(0.2) ? `\${${v}${random.pick([':?', '?'])}${literal()}}` : `\${${v}}`
      default:
        return `\${${v}}`
    }
  }

  const quoted = () =>
    random.pick([
      () => `"${word(1)}"`,
      () => `'${literal()}$A'`,
      () => `"${literal()} ${variable()}"`,
      () => `\\$${name()}`,
      () => `"\\"${literal()}"`,
      () => `\\ ${literal()}`,
      () => '\\\\',
      () => '""',
    ])()

  /** Something that breaks the lexer, seldom. */
  const broken = () =>
    random.pick([
      '${',
      '${A',
      '${}',
      '${A:}',
      '${A!x}',
      '"',
      "'",
      '$',
      '$$',
      '$1',
      '${A:x}',
      '${A/b}',
      '${A#\\q}',
      '${A:?no}',
    ])

  function word(depth = 0) {
    const parts = random.many(1, 3, () =>
      random.weighted([
        [5, literal],
        [4, variable],
        [depth > 0 ? 0 : 1, quoted],
        [0.05, broken],
      ])(),
    )
    return parts.join('')
  }

  return { word, variable, literal, name }
}
