import { BuilderError } from '../../base/errors.ts'
import { decodeText } from '../../base/text.ts'
import type { CommandLine, KeyValue } from '../dockerfile/read/ast.ts'
import { parseInstructions } from '../dockerfile/read/parse.ts'
import { firstLine, literal, shownText } from './text.ts'
import type {
  AddOptions,
  Command,
  CopyOptions,
  HealthcheckOptions,
  OwnerOptions,
  RunOptions,
  State,
  StateStep,
  Text,
} from './types.ts'

const NS_PER_MS = 1e6
/** Name of a script's file, where a Dockerfile has the delimiter of the here-document. */
const SCRIPT_NAME = 'EOF'
const NO_TEXT = { chown: '', chmod: '', checksum: '' }

export function runStep(command: Command, options: RunOptions = {}): StateStep {
  const { mounts = [], network = 'default', security = 'sandbox', devices = [], user, cwd, env } = options
  const isScript = typeof command === 'string' && command.startsWith('#!')
  return {
    keyword: 'RUN',
    shown: isScript ? `<<${SCRIPT_NAME}` : shownCommand(command),
    mounts,
    draft: {
      kind: 'run',
      command: isScript ? scriptLine(command) : commandLine(command),
      mountSpecs: [],
      network,
      security,
      devices: devices.map((name) => ({ name, required: true })),
      flagsUsed: [],
      overrides: { user, cwd, env },
    },
  }
}

export function copyStep(from: State, destination: Text, options: CopyOptions = {}): StateStep {
  const { sources = ['.'], include, exclude = [], link = false, parents = false } = options
  if (parents && include !== undefined)
    throw new BuilderError('OCI_OPTION_INVALID', 'copy: include and parents do not go together', {
      hint: 'with parents the sources may be patterns themselves',
    })
  return {
    keyword: 'COPY',
    shown: [...sources, destination].map(shownText).join(' '),
    from,
    draft: {
      kind: 'copy',
      from: '',
      sourcePaths: sources.map(literal),
      sourceContents: [],
      destination: literal(destination),
      ...ownership(options),
      link,
      parents,
      excludePatterns: exclude,
      ...(include === undefined ? {} : { includePatterns: include }),
    },
  }
}

export function addStep(from: State | Text | readonly Text[], destination: Text, options: AddOptions = {}): StateStep {
  const state = isState(from) ? from : undefined
  const urls = isState(from) ? (options.sources ?? ['.']) : isList(from) ? from : [from]
  for (const url of urls) if (state === undefined) refusePath(url)
  return {
    keyword: 'ADD',
    shown: [...urls, destination].map(shownText).join(' '),
    ...(state === undefined ? {} : { from: state }),
    draft: {
      kind: 'add',
      sourcePaths: urls.map(literal),
      sourceContents: [],
      destination: literal(destination),
      ...ownership(options),
      checksum: literal(options.checksum ?? ''),
      link: options.link ?? false,
      keepGitDir: options.keepGitDir,
      unpack: options.unpack,
      excludePatterns: options.exclude ?? [],
    },
  }
}

function isState(from: State | Text | readonly Text[]): from is State {
  return typeof from === 'object' && 'origin' in from
}

function isList(from: Text | readonly Text[]): from is readonly Text[] {
  return Array.isArray(from)
}

// A state has no main build context that a path could be of.
function refusePath(url: Text): void {
  if (typeof url !== 'string' || /^(?:[a-z][a-z0-9+.-]*:\/\/|git@)/i.test(url)) return
  throw new BuilderError('OCI_OPTION_INVALID', `add: ${url} is no URL`, {
    hint: "what lies in a directory is added from it: add(local('.'), '/', { sources: ['app.tar'] })",
  })
}

export function fileStep(path: string, data: string | Uint8Array, options: OwnerOptions = {}): StateStep {
  const slash = path.lastIndexOf('/')
  const name = path.slice(slash + 1)
  if (name === '' || name === '.' || name === '..')
    throw new BuilderError('OCI_OPTION_INVALID', `file: ${path} names no file`, { hint: 'as in /etc/motd' })
  const directory = slash === -1 ? './' : path.slice(0, slash + 1)
  return {
    keyword: 'COPY',
    shown: `<<${name} ${directory}`,
    draft: {
      kind: 'copy',
      from: '',
      sourcePaths: [],
      sourceContents: [{ path: name, data: typeof data === 'string' ? data : decodeText(data), expand: false }],
      destination: literal(directory),
      ...ownership(options),
      link: false,
      parents: false,
      excludePatterns: [],
    },
  }
}

/** In the words of COPY and ADD. */
function ownership({ owner, mode }: OwnerOptions): { chown: string; chmod: string } {
  return {
    chown: literal(owner ?? NO_TEXT.chown),
    chmod: mode === undefined ? NO_TEXT.chmod : literal(typeof mode === 'string' ? mode : mode.toString(8)),
  }
}

export function directoryStep(
  path: string,
  options: { readonly mode?: number; readonly owner?: string } = {},
): StateStep {
  const { mode = 0o755, owner = '' } = options
  return { keyword: 'DIRECTORY', shown: path, draft: { kind: 'mkdir', path, mode, owner } }
}

export function removeStep(path: string): StateStep {
  return { keyword: 'REMOVE', shown: path, draft: { kind: 'rm', path } }
}

export function pairsStep(
  keyword: 'ENV' | 'LABEL',
  names: string | Readonly<Record<string, Text>>,
  value: Text = '',
): StateStep {
  const record = typeof names === 'string' ? { [names]: value } : names
  const pairs = Object.entries(record).map(([key, text]): KeyValue => ({
    key: literal(key),
    value: literal(text),
    noDelimiter: false,
  }))
  return {
    keyword,
    shown: Object.entries(record)
      .map(([key, text]) => `${key}=${shownText(text)}`)
      .join(' '),
    draft: { kind: keyword === 'ENV' ? 'env' : 'label', pairs },
  }
}

export function argStep(values: Readonly<Record<string, Text | undefined>>): StateStep {
  const definitions = Object.entries(values).map(([key, value]) => ({
    key,
    value: value === undefined ? undefined : literal(value),
    docComment: '',
  }))
  const shown = Object.entries(values).map(([key, value]) => (value === undefined ? key : `${key}=${shownText(value)}`))
  return { keyword: 'ARG', shown: shown.join(' '), draft: { kind: 'arg', definitions } }
}

export function exposeStep(ports: readonly (number | Text)[]): StateStep {
  const words = ports.map((port) => (typeof port === 'number' ? String(port) : port))
  const sorted = words.map(literal).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return { keyword: 'EXPOSE', shown: words.map(shownText).join(' '), draft: { kind: 'expose', ports: sorted } }
}

export function commandStep(keyword: 'CMD' | 'ENTRYPOINT', command: Command): StateStep {
  const kind = keyword === 'CMD' ? 'cmd' : 'entrypoint'
  return { keyword, shown: shownCommand(command), draft: { kind, command: commandLine(command) } }
}

export function healthcheckStep(command: Command | false, options: HealthcheckOptions = {}): StateStep {
  const { intervalMs = 0, timeoutMs = 0, startPeriodMs = 0, startIntervalMs = 0, retries = 0 } = options
  const times = { intervalMs, timeoutMs, startPeriodMs, startIntervalMs }
  for (const [name, value] of Object.entries(times)) {
    if (value === 0 || (value >= 1 && Number.isFinite(value))) continue
    throw new BuilderError('OCI_OPTION_INVALID', `healthcheck: ${name} is ${value}`, {
      hint: 'one millisecond at least',
    })
  }
  if (!Number.isSafeInteger(retries) || retries < 0)
    throw new BuilderError('OCI_OPTION_INVALID', `healthcheck: retries is ${retries}`, { hint: 'a whole number' })
  const test = typeof command === 'string' ? ['CMD-SHELL', command] : command === false ? ['NONE'] : ['CMD', ...command]
  return {
    keyword: 'HEALTHCHECK',
    shown: command === false ? 'NONE' : `CMD ${shownCommand(command)}`,
    draft: {
      kind: 'healthcheck',
      test,
      intervalNs: Math.round(intervalMs * NS_PER_MS),
      timeoutNs: Math.round(timeoutMs * NS_PER_MS),
      startPeriodNs: Math.round(startPeriodMs * NS_PER_MS),
      startIntervalNs: Math.round(startIntervalMs * NS_PER_MS),
      retries,
    },
  }
}

export function onbuildStep(text: string): StateStep {
  const [trigger, ...more] = parseInstructions(`ONBUILD ${text}`)
  if (trigger?.kind !== 'onbuild' || more.length > 0)
    throw new BuilderError('OCI_OPTION_INVALID', `onbuild: more than one instruction: ${firstLine(text)}`)
  return { keyword: 'ONBUILD', shown: firstLine(text), draft: { kind: 'onbuild', expression: trigger.expression } }
}

function commandLine(command: Command): CommandLine {
  if (typeof command === 'string') return { args: [command], prependShell: true, files: [] }
  return { args: command, prependShell: false, files: [] }
}

/** As `RUN <<EOF` has it. */
function scriptLine(script: string): CommandLine {
  const data = script.endsWith('\n') ? script : `${script}\n`
  return { args: [`<<${SCRIPT_NAME}`], prependShell: true, files: [{ name: SCRIPT_NAME, data, chomp: false }] }
}

function shownCommand(command: Command): string {
  return typeof command === 'string' ? firstLine(command) : JSON.stringify(command)
}
