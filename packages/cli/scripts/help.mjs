// Has oclif write the help of every command into dist/help, for some widths of a terminal: oclif takes longer to start
// than a cached build, and whoever asks for help waits for it.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandHelp, Config, Help } from '@oclif/core'
import { HELP_WIDTHS } from '../dist/help/answer.js'
import { COMMANDS, RARE_GROUP } from '../dist/oclif-commands.js'

/** Commands of two words, by the first. */
const TOPICS = [...new Set(Object.keys(COMMANDS).flatMap((id) => (id.includes(':') ? [id.split(':')[0]] : [])))]

const cli = resolve(dirname(fileURLToPath(import.meta.url)), '..')
// The texts are for every terminal: no colours.
process.env.NO_COLOR = '1'
// Without it oclif asks for the user's entry in passwd, and in a container there may be none.
process.env.SHELL ||= '/bin/sh'
const config = await Config.load({ root: cli })

for (const width of HELP_WIDTHS) {
  const folder = join(cli, 'dist', 'help', String(width))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const write = (name, text) => writeFileSync(join(folder, `${name}.txt`), `${text.trimEnd()}\n`)
  const help = new Help(config, { maxWidth: width })
  write('tsbuild', rootText(help))
  for (const topic of TOPICS) write(topic, topicText(help, topic))
  for (const [id, command] of Object.entries(COMMANDS)) {
    const rare = Object.entries(command.flags).filter(([, flag]) => flag.helpGroup === RARE_GROUP)
    const name = id.replaceAll(':', '-')
    const others = 'Flags of kaniko, buildah, podman and Docker, and what they are here: docs/commands.md'
    const all = commandText(id, command.flags, width)
    if (rare.length === 0) write(name, all)
    else write(`${name}.all`, `${all}\n\n${others}`)
    if (rare.length === 0) continue
    const shown = Object.fromEntries(
      Object.entries(command.flags).filter((one) => !rare.some(([key]) => key === one[0])),
    )
    const more = `${rare.length} more flags, of other builders or without effect here: tsbuild ${id} --help --all`
    write(name, `${commandText(id, shown, width)}\n\n${more}`)
  }
}

function commandText(id, shownFlags, width) {
  const { summary, description, examples, usage, ...command } = COMMANDS[id]
  const [args, flags] = [COMMANDS[id].args, shownFlags].map(withNames)
  const whole = { ...config.findCommand(id), ...command, summary, description, examples, usage, args, flags }
  const generated = new CommandHelp(whole, config, { maxWidth: width, flagSortOrder: 'none' }).generate()
  return generated.replaceAll(id, id.replaceAll(':', ' '))
}

/** oclif knows flags and arguments by the keys of their table and wants their names in them. */
function withNames(table) {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, { ...value, name }]))
}

function rootText(help) {
  const commands = config.commands.filter(({ id }) => !id.includes(':')).toSorted((a, b) => a.id.localeCompare(b.id))
  const order = Object.keys(COMMANDS)
  commands.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
  return [
    'Builds OCI images from Dockerfiles, with no daemon and no root.',
    'USAGE\n  $ tsbuild [build] [OPTIONS] CONTEXT\n  $ tsbuild COMMAND',
    help.formatCommands(commands),
    help.formatTopics(TOPICS.map((name) => config.topics.find((topic) => topic.name === name))),
    'tsbuild COMMAND --help tells about one; tsbuild --version',
  ].join('\n\n')
}

function topicText(help, topic) {
  const commands = config.commands.filter(({ id }) => id.startsWith(`${topic}:`))
  return `USAGE\n  $ tsbuild ${topic} COMMAND\n\n${help.formatCommands(commands)}`
}
