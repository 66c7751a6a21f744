import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { UsageError } from '../usage-error.ts'
import { gitContext } from './git-context.ts'
import type { Notes } from './flag-row.ts'

/** A command line as it was read, of whichever command. */
export interface AnyInput {
  readonly args: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
}

/** What flags of kaniko, buildah and podman mean together, which no words of ours say one by one. @throws UsageError */
export function finishBuild(input: AnyInput, notes: Notes, argv: readonly string[]): AnyInput {
  if (notes.has('push-tags')) useKanikoLogin(process.env)
  const steps = [
    withContext,
    withPlatform,
    withArguments,
    withManifest,
    withVolumes,
    withMirrors,
    withOneLayer,
    withCacheRepository,
    withInsecureRegistries,
    withOutputs,
  ]
  return steps.reduce((done, step) => step(done, notes, argv), input)
}

/** kaniko's image has no home: its login is a file beside the program, which jobs mount or write. */
const KANIKO_CONFIG = '/kaniko/.docker'

function useKanikoLogin(env: NodeJS.ProcessEnv): void {
  if (!env['DOCKER_CONFIG'] && isFile(`${KANIKO_CONFIG}/config.json`)) env['DOCKER_CONFIG'] = KANIKO_CONFIG
}

function withContext(input: AnyInput, notes: Notes): AnyInput {
  if (!notes.has('kaniko-context') && !notes.has('sub-path') && !notes.has('git')) return input
  const given = notes.get('kaniko-context')?.at(-1) ?? input.args[0] ?? ''
  const [path] = notes.get('sub-path')?.slice(-1) ?? []
  const context = gitContext(given, notes.get('git') ?? [], path) ?? inDirectory(given, path)
  return withDockerfileOf({ ...input, args: [context] }, context)
}

/** kaniko joins the two only behind `dir://`; of a plain directory it drops the path without a word. */
function inDirectory(given: string, path: string | undefined): string {
  const directory = given.replace(/^dir:\/\//, '')
  if (path === undefined || path === '') return directory
  if (given.startsWith('dir://')) return join(directory, path)
  const what = directory.includes('://') ? 'an archive' : 'a directory'
  throw new UsageError(`--context-sub-path=${path}: the context is ${what}, which tsbuild takes whole`, {
    hint: directory.includes('://') ? 'unpack it, and name the directory' : `--context=${join(directory, path)}`,
  })
}

/** kaniko looks for a Dockerfile where it runs first, then in the context. */
function withDockerfileOf(input: AnyInput, context: string): AnyInput {
  const { file } = input.flags
  if (typeof file !== 'string' || file === '-' || context.includes('://') || isFile(file)) return input
  const inContext = join(context, file)
  return isFile(inContext) ? { ...input, flags: { ...input.flags, file: inContext } } : input
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** What is not given is this machine's; Docker's names of architectures are Node's but for these. */
const MACHINES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

function withPlatform(input: AnyInput, notes: Notes): AnyInput {
  const [os, arch, variant] = (['os', 'arch', 'variant'] as const).map((note) => notes.get(note)?.at(-1))
  if (os === undefined && arch === undefined && variant === undefined) return input
  const [given] = input.flags['platform'] as readonly string[]
  if (given !== undefined)
    throw new UsageError(`--platform=${given} stands beside --os, --arch or --variant`, { hint: 'leave them out' })
  const parts = [os ?? 'linux', arch ?? MACHINES[process.arch] ?? process.arch, ...(variant ? [variant] : [])]
  return { ...input, flags: { ...input.flags, platform: [parts.join('/')] } }
}

/** Files of arguments count less than the flag, as with buildah. */
function withArguments(input: AnyInput, notes: Notes): AnyInput {
  const files = notes.get('build-arg-file') ?? []
  if (files.length === 0) return input
  const own = input.flags['build-arg'] as readonly string[]
  return { ...input, flags: { ...input.flags, 'build-arg': [...files.flatMap(argumentsOf), ...own] } }
}

function argumentsOf(path: string): readonly string[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new UsageError(`--build-arg-file=${path}: ${(cause as Error).message}`)
  }
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !line.startsWith('#'))
}

/** buildah makes an index also over one image; an index of ours has several. */
function withManifest(input: AnyInput, notes: Notes): AnyInput {
  const [name] = notes.get('manifest')?.slice(-1) ?? []
  if (name === undefined) return input
  const platforms = (input.flags['platform'] as readonly string[]).flatMap((one) => one.split(','))
  if (platforms.length < 2)
    throw new UsageError(`--manifest=${name}: one image is no list`, {
      hint: `-t ${name} --platform OS/ARCH,OS/ARCH makes a list over several`,
    })
  const tags = [...(input.flags['tag'] as readonly string[]), name]
  return { ...input, flags: { ...input.flags, tag: tags } }
}

/** A directory of this machine is a context of its own, which every step sees. */
function withVolumes(input: AnyInput, notes: Notes): AnyInput {
  const volumes = (notes.get('volume') ?? []).map((volume, index) => volumeOf(volume, `volume-${index}`))
  if (volumes.length === 0) return input
  const { 'build-context': contexts, mount } = input.flags as Readonly<Record<string, readonly string[]>>
  const flags = {
    'build-context': [...contexts!, ...volumes.map((volume) => volume.context)],
    mount: [...mount!, ...volumes.map((volume) => volume.mount)],
  }
  return { ...input, flags: { ...input.flags, ...flags } }
}

/** Labels of SELinux (z, Z) and kinds of propagation are about directories that a container shares: nothing is shared here. */
const TAKEN_OPTIONS = [
  'ro',
  'O',
  'z',
  'Z',
  'rprivate',
  'private',
  'rslave',
  'slave',
  'bind',
  'rbind',
  'nodev',
  'nosuid',
]

function volumeOf(volume: string, name: string): { readonly context: string; readonly mount: string } {
  const [from = '', target = '', text = ''] = volume.split(':')
  const options = text.split(',')
  const unknown = options.find((option) => !TAKEN_OPTIONS.includes(option))
  if (unknown !== undefined)
    throw new UsageError(`--volume=${volume}: tsbuild does not take the option ${unknown}`, { hint: 'ro or O' })
  const [directory, source] = isFile(from) ? [dirname(from), `/${basename(from)}`] : [from, '/']
  const access = options.includes('O') ? ',rw' : ''
  return { context: `${name}=${directory}`, mount: `type=bind,from=${name},source=${source},target=${target}${access}` }
}

function withMirrors(input: AnyInput, notes: Notes): AnyInput {
  const maps = (notes.get('registry-map') ?? []).flatMap((map) => map.split(';')).filter((map) => map !== '')
  if (maps.length === 0) return input
  const mirrors = [...(input.flags['registry-mirror'] as readonly string[]), ...maps]
  return { ...input, flags: { ...input.flags, 'registry-mirror': mirrors } }
}

/** kaniko keeps an image for each step there; here it is one cache, in BuildKit's form. Without `--cache` it counts for neither. */
function withCacheRepository(input: AnyInput, notes: Notes, argv: readonly string[]): AnyInput {
  const [repository] = notes.get('cache-repo')?.slice(-1) ?? []
  const isOn = argv.some((word) => /^--cache(?:=(?:1|t|true))?$/i.test(word))
  if (repository === undefined || !isOn || input.flags['no-cache'] === true) return input
  const directory = /^oci:(?:\/\/)?(.*)$/.exec(repository)?.[1]
  const [from, to] =
    directory === undefined
      ? [`type=registry,ref=${repository}`, `type=registry,ref=${repository},mode=max`]
      : [`type=local,src=${directory}`, `type=local,dest=${directory},mode=max`]
  const { 'cache-from': sources, 'cache-to': targets } = input.flags as Readonly<Record<string, readonly string[]>>
  const written = notes.has('no-push-cache') ? targets! : [...targets!, to]
  return { ...input, flags: { ...input.flags, 'cache-from': [...sources!, from], 'cache-to': written } }
}

function withOneLayer(input: AnyInput, notes: Notes): AnyInput {
  return notes.has('one-layer') ? { ...input, flags: { ...input.flags, squash: true } } : input
}

function withInsecureRegistries(input: AnyInput, notes: Notes): AnyInput {
  if (notes.has('insecure-pull')) return withInsecure(input, ['*'])
  return notes.has('insecure') ? withInsecure(input, (input.flags['tag'] as readonly string[]).map(registryOf)) : input
}

/** @param hosts as `--insecure-registry` takes them */
export function withInsecure(input: AnyInput, hosts: readonly string[]): AnyInput {
  const all = [...(input.flags['insecure-registry'] as readonly string[]), ...hosts]
  return { ...input, flags: { ...input.flags, 'insecure-registry': [...new Set(all)] } }
}

/** The builder's own reader of names is not loaded to read a command line. */
export function registryOf(image: string): string {
  const [first = '', ...more] = image.replace(/^docker:\/\//, '').split('/')
  return more.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost') ? first.toLowerCase() : 'docker.io'
}

/** Outputs of `-o` that know the attributes of an image. */
const OF_IMAGES = /^"?type=(?:image|registry|oci|docker)(?:"?,|"?$)/

/** kaniko pushes what it builds, unless it is told not to; attributes are those of every image that is written. */
function withOutputs(input: AnyInput, notes: Notes, argv: readonly string[]): AnyInput {
  if (notes.has('no-push')) checkNothingPushes(input)
  const isToldNotTo = notes.has('no-push') || argv.some((word) => /^--push=(?:0|f|false)$/i.test(word))
  const push = isToldNotTo ? false : notes.has('push-tags') || input.flags['push'] === true
  const flags = { ...input.flags, ...(isToldNotTo ? {} : { push }) }
  const attributes = notes.get('attribute') ?? []
  if (attributes.length === 0) return { ...input, flags }
  const outputs = input.flags['output'] as readonly string[]
  const isSent = outputs.some((output) => /^"?type=(?:image|registry)\b/.test(output))
  const all = push && !isSent ? [...outputs, 'type=image,push=true'] : outputs
  // `-o DIR` and a tar of files have no image.
  const written = (all.length === 0 ? ['type=image'] : all).map((output) =>
    OF_IMAGES.test(output) ? [output, ...new Set(attributes)].join(',') : output,
  )
  return { ...input, flags: { ...flags, output: written } }
}

/** Ours that push would be left out without a word, or would push all the same. @throws UsageError */
function checkNothingPushes({ flags }: AnyInput): void {
  const outputs = flags['output'] as readonly string[]
  const output = outputs.find((one) => /(?:^|,)"?(?:type=registry|push=(?:1|t|true))"?(?:,|$)/i.test(one))
  if (flags['push'] !== true && output === undefined) return
  const other = output === undefined ? '--push' : `--output=${output}`
  throw new UsageError(`--no-push stands beside ${other}, which pushes`, { hint: 'leave one of them out' })
}
