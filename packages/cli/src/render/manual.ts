import { foreignCommands } from '../foreign/commands.ts'
import { foreignFlags, foreignValues, type OwnedFlag } from '../foreign/flags.ts'
import { describeForeign } from '../foreign/translate.ts'
import type { CommandSpec, FlagSpec } from '../flag-types.ts'

/** The reference of all commands as Markdown, made from the table of flags: it cannot say anything else than the parser. */
export function renderManual(specs: readonly CommandSpec[]): string {
  const head = '# Commands\n\nMade from `packages/cli/src/flags.ts` by `npm run docs`; a test compares the two.\n'
  return `${head}${specs.map(renderCommand).join('')}${foreignFlagTable()}${foreignCommandTable()}`
}

function foreignFlagTable(): string {
  const commands = Object.entries(foreignFlags).map(([command, flags]) => {
    const rows = flags.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(foreignFlagRow)
    for (const { shown, tool, as } of foreignValues[command] ?? [])
      if (shown !== undefined) rows.push(`| \`${shown}\` | ${tool} | as \`${as.join(' ')}\` |\n`)
    return `\n### For tsbuild ${command}\n\n| flag | of | here |\n| --- | --- | --- |\n${rows.join('')}`
  })
  return `
## Flags of other builders

The flags of kaniko, buildah, podman and Docker that are not \`tsbuild\`'s own are known: what means the same is taken, what does
not is an error that says what to use.
${commands.join('')}`
}

function foreignFlagRow(flag: OwnedFlag): string {
  const value = flag.isBoolean === true ? '' : ' VALUE'
  const char = flag.char === undefined ? '' : `\`-${flag.char}\`, `
  return `| ${char}\`--${flag.name}${value}\` | ${flag.tool} | ${cell(describeForeign(flag))} |\n`
}

function foreignCommandTable(): string {
  const rows = foreignCommands.map(({ name, as, use }) => {
    return `| \`${name}\` | ${as === undefined ? cell(use ?? '') : `\`tsbuild ${as.join(' ')}\``} |\n`
  })
  return `
## Commands of Docker, Podman and buildah

| command | here |
| --- | --- |
${rows.join('')}`
}

function renderCommand(spec: CommandSpec): string {
  const usage = spec.args
    .map((arg) => (arg.required ? arg.name : `[${arg.name}]`) + (arg.repeated ? '...' : ''))
    .join(' ')
  const parts = [
    `\n## tsbuild ${spec.name}\n`,
    `\`tsbuild ${spec.name} [OPTIONS] ${usage}`.trimEnd() + '`\n',
    `${sentence(spec.summary)}\n`,
  ]
  if (spec.description !== undefined) parts.push(`${spec.description}\n`)
  if (spec.examples !== undefined) parts.push(`\`\`\`sh\n${spec.examples.join('\n')}\n\`\`\`\n`)
  const known = spec.flags.filter((flag) => flag.refused === undefined || flag.refused.unless !== undefined)
  for (const [group, flags] of Map.groupBy(known, (flag) => flag.group)) {
    const heading = group === undefined ? '' : `${group}:\n\n`
    parts.push(`${heading}| flag | meaning |\n| --- | --- |\n${flags.map(flagRow).join('')}`)
  }
  const refused = spec.flags.filter((flag) => !known.includes(flag))
  if (refused.length > 0)
    parts.push(`Refused by name:\n\n| flag | why | instead |\n| --- | --- | --- |\n${refused.map(refusedRow).join('')}`)
  return parts.join('\n')
}

function flagRow(flag: FlagSpec): string {
  return `| ${names(flag)} | ${cell(flag.summary ?? '')}${flag.kind === 'texts' ? '; may be repeated' : ''} |\n`.replace(
    'may be repeated; may be repeated',
    'may be repeated',
  )
}

function refusedRow(flag: FlagSpec): string {
  return `| ${names(flag)} | ${cell(flag.refused?.message ?? '')} | ${cell(flag.refused?.hint ?? '')} |\n`
}

function names(flag: FlagSpec): string {
  const value =
    flag.kind === 'boolean' ? '' : flag.kind === 'optional' ? `=${flag.value ?? ''}` : ` ${flag.value ?? ''}`
  return `${flag.char === undefined ? '' : `\`-${flag.char}\`, `}\`--${flag.name}${cell(value)}\``
}

/** A bar ends a cell, also between backquotes. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
