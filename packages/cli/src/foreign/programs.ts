import { UsageError } from '../usage-error.ts'
import { foreignCommands, type ForeignCommand } from './commands.ts'
import { ofRoots } from './root-flags.ts'

type Environment = Record<string, string | undefined>

/** A command line of another program, as ours. */
export interface CalledProgram {
  /** Command and its arguments. */
  readonly words: readonly string[]
  /** Which rules count: those of the program's own command. */
  readonly calledAs: string
}

/** Our words for those of a command line, or a UsageError that says what to use: `withCommand` of `command-words.ts`. */
type Resolve = (argv: readonly string[], exists: () => boolean, foreign: readonly ForeignCommand[]) => readonly string[]

/** By the name of the link by which `tsbuild` was called. */
const programs: Readonly<
  Record<string, (argv: readonly string[], env: Environment, resolve: Resolve) => CalledProgram>
> = {
  executor: asExecutor,
  buildah: asBuildah,
  podman: asPodman,
}

/**
 * The words of a program by whose name `tsbuild` was called: a link `executor`, `buildah` or `podman`.
 * @throws UsageError for a command that is not there, with what to use
 */
export function asProgram(name: string, argv: readonly string[], env: Environment, resolve: Resolve): CalledProgram {
  return programs[name]!(argv, env, resolve)
}

function asExecutor(argv: readonly string[], env: Environment, resolve: Resolve): CalledProgram {
  const [first] = argv
  if (first === 'version') return { words: ['--version'], calledAs: 'executor' }
  if (first === 'login') return { words: resolve(argv, () => false, foreignCommands), calledAs: 'executor login' }
  if (first === 'push' || first === 'completion')
    throw new UsageError(`executor ${first} is not supported`, { hint: 'tsbuild push NAME' })
  if (first === 'help') return { words: ['build', '--help'], calledAs: 'executor' }
  return { words: ['build', ...argv, ...kanikoEnvironment(argv, env)], calledAs: 'executor' }
}

/** What kaniko takes from variables: a flag of the same counts more. */
function kanikoEnvironment(argv: readonly string[], env: Environment): readonly string[] {
  const isGiven = (flag: string): boolean => argv.some((word) => word === flag || word.startsWith(`${flag}=`))
  const flags = [
    ['KANIKO_NO_PUSH', '--no-push'],
    ['KANIKO_REGISTRY_MIRROR', '--registry-mirror'],
    ['KANIKO_REGISTRY_MAP', '--registry-map'],
  ] as const
  const words = flags.flatMap(([name, flag]) => (env[name] && !isGiven(flag) ? [`${flag}=${env[name]}`] : []))
  const isGit = argv.some((word) => /(?:^|=)git:\/\//.test(word))
  // The value goes by its name: a command line is read by others.
  return isGit && env['GIT_TOKEN'] ? [...words, '--secret=id=GIT_AUTH_TOKEN,env=GIT_TOKEN'] : words
}

const workingContainers = 'write it into a Dockerfile: FROM, RUN, COPY and their kin; then buildah build'

/** Words that mean something else for buildah than for Docker. */
const ofBuildah: readonly ForeignCommand[] = [
  ...['add', 'commit', 'config', 'copy', 'from', 'run'].map((name) => ({ name, use: workingContainers })),
  ...['containers', 'mount', 'rename', 'rm', 'umount', 'unmount', 'unshare'].map((name) => ({
    name,
    use: 'there are no working containers: tsbuild build -o DIR writes the files of an image into a directory',
  })),
]

function asBuildah(argv: readonly string[], env: Environment, resolve: Resolve): CalledProgram {
  const [first, ...rest] = withFlagsBehind(argv)
  const given = (flag: string): boolean => argv.some((word) => word === flag || word.startsWith(`${flag}=`))
  if (first !== undefined && ['bud', 'build', 'build-using-dockerfile'].includes(first)) {
    const proxies = given('--http-proxy') ? [] : ['--http-proxy=true']
    const format = env['BUILDAH_FORMAT'] && !given('--format') ? [`--format=${env['BUILDAH_FORMAT']}`] : []
    const isolation =
      env['BUILDAH_ISOLATION'] && !given('--isolation') ? [`--isolation=${env['BUILDAH_ISOLATION']}`] : []
    return { words: ['build', ...rest, ...proxies, ...format, ...isolation], calledAs: 'buildah build' }
  }
  const other = ofBuildah.find(({ name }) => name === first)
  if (other !== undefined) throw new UsageError(`buildah ${first}: tsbuild has no such command`, { hint: other.use })
  // Never the directory of that name.
  const words = resolve(first === undefined ? [] : [first, ...rest], () => false, foreignCommands)
  return { words, calledAs: `buildah ${first ?? 'help'}` }
}

/** Of buildah, but for all that is Docker's. */
function asPodman(argv: readonly string[], env: Environment, resolve: Resolve): CalledProgram {
  const [first] = withFlagsBehind(argv)
  if (first === 'build' || first === 'buildx') {
    const { words } = asBuildah(
      argv.filter((word) => word !== 'buildx'),
      env,
      resolve,
    )
    return { words, calledAs: 'podman build' }
  }
  const words = resolve(withFlagsBehind(argv), () => false, foreignCommands)
  return { words, calledAs: `podman ${first ?? 'help'}` }
}

/** `buildah --root DIR bud .`: flags of all commands stand behind the command here; what nothing needs is left out. */
function withFlagsBehind(argv: readonly string[]): readonly string[] {
  const before: string[] = []
  const rest = [...argv]
  while (rest[0]?.startsWith('-')) {
    const word = rest.shift()!
    const [name = '', given] = word.split('=')
    const row = ofRoots.find((one) => name === `--${one.name}` || name === `-${one.char}`)
    const needsValue = row !== undefined && row.isBoolean !== true && given === undefined
    const value = needsValue ? rest.splice(0, 1) : []
    if (row?.done !== 'any') before.push(word, ...value)
  }
  const [command, ...more] = rest
  return command === undefined ? before : [command, ...before, ...more]
}

/**
 * The exit status of a failure as the program has it, whose words were read: of a step that failed its own; else 1 of kaniko
 * and 125 of buildah and podman.
 * @returns undefined where ours counts
 */
export function statusOf(calledAs: string, error: unknown): number | undefined {
  const [program = '', command] = calledAs.split(' ')
  if (programs[program] === undefined || (program !== 'executor' && command === undefined)) return undefined
  const { code, details } = (error ?? {}) as {
    readonly code?: string
    readonly details?: { readonly exitCode?: number }
  }
  if (code?.endsWith('_CANCELED')) return undefined
  return details?.exitCode || (program === 'executor' ? 1 : 125)
}
