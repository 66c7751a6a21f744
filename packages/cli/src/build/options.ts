import type { BuildOptions } from '@ts-oci/builder'
import type { build } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import { registryOptions, numberFlag } from '../common-options.ts'
import { parseBinarySize } from '../render/units.ts'
import type { CommandIo } from '../command-io.ts'
import { booleanWord } from '../boolean-word.ts'
import { tagWord } from '../image-word.ts'
import { UsageError } from '../usage-error.ts'
import { parseCache } from './caches.ts'
import { contextWord } from './context-word.ts'
import { splitOnce } from './csv.ts'
import { loadOutputs, parseOutput } from './outputs.ts'
import { resourceOptions } from './resources.ts'
import { parseSecret, parseSsh } from './secrets.ts'

type Flags = Input<typeof build>['flags']

/** The library's options for a command line. @throws UsageError */
export function buildOptions({ args, flags }: Input<typeof build>, io: CommandIo): BuildOptions {
  const stdoutIsTerminal = io.stdout.isTTY === true
  const named = flags.output.map((text) => parseOutput(text, stdoutIsTerminal))
  const outputs = [...named, ...loadOutputs(flags.load, named)]
  if (outputs.filter((output) => 'dest' in output && output.dest === '-').length > 1) {
    throw new UsageError('only one --output can go to standard output', { hint: 'name files with dest=FILE' })
  }
  return {
    ...contextWord(args[0] ?? '.', flags.file, io),
    file: flags.file,
    tags: flags.tag.map(tagWord),
    target: flags.target,
    platform: flags.platform.length === 0 ? undefined : flags.platform.join(','),
    outputs: outputs.length === 0 ? undefined : outputs,
    push: flags.push,
    pull: pullFlag(flags.pull),
    cacheFrom: flags['cache-from'].flatMap((text) => parseCache(text, 'cache-from')),
    cacheTo: flags['cache-to'].flatMap((text) => parseCache(text, 'cache-to')),
    noCache: flags['no-cache'],
    keepCacheMounts: flags['keep-cache-mounts'],
    noCacheFilter: flags['no-cache-filter'].flatMap((text) => text.split(',')),
    store: flags.store,
    ...amendments(flags, io),
    gc: flags.gc,
    signal: io.signal,
    ...registryOptions(flags),
    ...values(flags, io),
    ...stepOptions(flags),
  }
}

/** Of Docker, compose, buildah and podman; `true` and `false` also in the other spellings of a boolean. */
const PULL_WORDS: Readonly<Record<string, BuildOptions['pull']>> = {
  always: 'always',
  // Buildah takes an image of the registry that differs from the one at hand, whichever is older: so does this.
  newer: 'always',
  missing: 'missing',
  never: 'never',
  false: undefined,
  true: 'always',
}

/** Docker's `--pull`, `--pull=false`, and the words of its other commands. */
function pullFlag(value: string | undefined): BuildOptions['pull'] {
  const word = value === undefined ? 'false' : (booleanWord(value) ?? value)
  if (Object.hasOwn(PULL_WORDS, word)) return PULL_WORDS[word]
  throw new UsageError(`invalid argument "${value}" for --pull`, {
    hint: `one of ${Object.keys(PULL_WORDS).join(', ')}`,
  })
}

function values(flags: Flags, io: CommandIo): Partial<BuildOptions> {
  return {
    buildArgs: buildArguments(flags['build-arg'], io.env),
    labels: pairs(flags.label, 'label', ''),
    annotations: annotations(flags.annotation),
    buildContexts: pairs(flags['build-context'], 'build-context'),
    secrets: flags.secret.map((text) => parseSecret(text, io.env)),
    // buildx leaves out an empty one: a variable of a script that has no value.
    ssh: flags.ssh.filter((text) => text !== '').map(parseSsh),
    sourceDateEpoch: numberFlag('source-date-epoch', flags['source-date-epoch'], 0),
  }
}

function stepOptions(flags: Flags): Partial<BuildOptions> {
  const shmSize = flags['shm-size']
  const shmSizeBytes = shmSize === undefined ? undefined : parseBinarySize(shmSize)
  if (shmSize !== undefined && shmSizeBytes === undefined)
    throw new UsageError(`invalid argument "${shmSize}" for --shm-size`, { hint: 'as in 64m' })
  return {
    network: flags.network as BuildOptions['network'],
    isolation: (flags.isolation === 'default' ? 'auto' : flags.isolation) as BuildOptions['isolation'],
    snapshots: flags.snapshots as BuildOptions['snapshots'],
    addHosts: flags['add-host'],
    // What is said of a device has commas of its own.
    allow: flags.allow.flatMap((text) => (text.startsWith('device=') ? [text] : text.split(','))),
    cdiSpecDirs: flags['cdi-spec-dir'].length === 0 ? undefined : flags['cdi-spec-dir'],
    ulimits: flags.ulimit,
    shmSizeBytes,
    resources: resourceOptions(flags),
    jobs: numberFlag('jobs', flags.jobs, 1),
  }
}

/** Nothing where no flag asks for a change. */
function amendments(flags: Flags, io: CommandIo): Partial<BuildOptions> {
  const { from, ignorefile: ignoreFile, mount: mounts, unsetenv: unsetEnv, unsetlabel: unsetLabels } = flags
  const lists = [flags.env, mounts, unsetEnv, unsetLabels]
  const isAmended =
    from !== undefined || lists.some((list) => list.length > 0) || !flags['inherit-labels'] || flags['omit-history']
  const squash = flags['squash-all'] ? ('all' as const) : flags.squash ? ('new' as const) : undefined
  const amend = {
    from,
    env: buildArguments(flags.env, io.env, 'env'),
    mounts,
    unsetEnv,
    unsetLabels,
    inheritLabels: flags['inherit-labels'],
    squash,
    omitHistory: flags['omit-history'],
  }
  return {
    ...(isAmended || squash !== undefined ? { amend } : {}),
    ...(ignoreFile === undefined ? {} : { ignoreFile }),
  }
}

/** `NAME` alone takes the variable of the environment, and is not passed where there is none. */
export function buildArguments(
  texts: readonly string[],
  env: CommandIo['env'],
  flag = 'build-arg',
): Record<string, string> {
  // A map first: an argument may be called __proto__.
  const result = new Map<string, string>()
  for (const text of texts) {
    const [name, value] = splitOnce(text, '=')
    if (name === '') throw new UsageError(`invalid argument "${text}" for --${flag}`, { hint: `--${flag} NAME=VALUE` })
    const found = value ?? (Object.hasOwn(env, name) ? env[name] : undefined)
    if (found !== undefined) result.set(name, found)
  }
  return Object.fromEntries(result)
}

function pairs(texts: readonly string[], flag: string, missing?: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [key, value = missing] = splitOnce(text, '=')
      if (key === '' || value === undefined)
        throw new UsageError(`invalid argument "${text}" for --${flag}`, { hint: `--${flag} NAME=VALUE` })
      return [key, value]
    }),
  )
}

/** `KEY=VALUE`, or what is annotated before it: `index,manifest[linux/arm64]:KEY=VALUE`. @throws UsageError */
export function annotations(texts: readonly string[]): Record<string, string> {
  const each = texts.flatMap((text) => {
    const at = /^([^=]*?):[^=]*=/.exec(text)
    if (at === null) return [text]
    const targets = at[1]!.split(',')
    for (const target of targets) {
      const [, type] = /^(manifest|manifest-descriptor|index|index-descriptor)(?:\[[^\]]*\])?$/.exec(target) ?? []
      if (type !== undefined) continue
      throw new UsageError(`--annotation ${text}: unknown annotation type ${JSON.stringify(target)}`, {
        hint: 'a key with a colon needs its type before it: manifest:KEY=VALUE',
      })
    }
    return targets.map((target) => `${target}${text.slice(at[1]!.length)}`)
  })
  return pairs(each, 'annotation')
}
