import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { BuilderError } from '../base/errors.ts'
import type { ProgressSink } from '../base/progress.ts'
import type { GarbagePolicy, SpaceBound, Store } from '../store/types.ts'
import { parseSpace } from '../store/spaces.ts'

type Environment = Readonly<Record<string, string | undefined>>

const WORDS = {
  'reserved-space': 'reserved',
  'max-used-space': 'maxUsed',
  'min-free-space': 'minFree',
} as const

/**
 * When a build tidies up: what its option says, else `$TSBUILD_GC`, else the file `$TSBUILD_GC_FILE` or `ts-oci/gc.json` in the XDG
 * configuration directory, else BuildKit's defaults.
 * @throws OCI_OPTION_INVALID for what is not understood
 */
export function garbagePolicy(option: string | GarbagePolicy | undefined, env: Environment): GarbagePolicy {
  if (typeof option === 'object') return option
  if (option !== undefined) return parsePolicy(option, 'the option gc')
  const given = env['TSBUILD_GC']
  if (given !== undefined && given !== '') return parsePolicy(given, 'TSBUILD_GC')
  const named = env['TSBUILD_GC_FILE']
  const path = named !== undefined && named !== '' ? named : defaultFile(env)
  const bytes = path === undefined ? undefined : readIfPresent(path, path === named)
  return bytes === undefined ? { isEnabled: true } : readPolicyFile(bytes, path!)
}

/**
 * After a build, while its session is open. What goes wrong here is no fault of the build: it is told as a warning.
 * @throws never
 */
export async function tidyUp(store: Store, policy: GarbagePolicy, sink: ProgressSink | undefined): Promise<void> {
  try {
    await store.collectGarbage(policy)
  } catch (error) {
    const message = `the build cache could not be tidied up: ${(error as Error).message}`
    sink?.({ type: 'warning', warning: { rule: '', message } })
  }
}

/** `false`, `true`, or `reserved-space=10GB,max-used-space=80%,min-free-space=20%`. */
function parsePolicy(text: string, where: string): GarbagePolicy {
  if (/^(false|0|off|no)$/i.test(text)) return { isEnabled: false }
  if (/^(true|1|on|yes|default)$/i.test(text)) return { isEnabled: true }
  const bounds: { reserved?: SpaceBound; maxUsed?: SpaceBound; minFree?: SpaceBound } = {}
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^\s*([^=]*)=(.*)$/.exec(part) ?? []
    const key = Object.hasOwn(WORDS, name) ? WORDS[name as keyof typeof WORDS] : undefined
    if (key === undefined)
      throw invalid(
        `${where}: ${JSON.stringify(part)} is not understood`,
        `false, true, or ${Object.keys(WORDS).join('=SIZE, ')}=SIZE`,
      )
    bounds[key] = spaceOf(value, `${where}: ${name}`)
  }
  return { isEnabled: true, ...bounds }
}

function spaceOf(value: unknown, where: string): SpaceBound {
  const bound = typeof value === 'number' ? value : parseSpace(String(value))
  if (bound === undefined) throw invalid(`${where}: ${JSON.stringify(value)} is no size`, 'as in 10GB, 512mb or 20%')
  return bound
}

function defaultFile(env: Environment): string | undefined {
  const config = env['XDG_CONFIG_HOME']
  if (config !== undefined && isAbsolute(config)) return join(config, 'ts-oci/gc.json')
  return env['HOME'] === undefined || !isAbsolute(env['HOME']) ? undefined : join(env['HOME'], '.config/ts-oci/gc.json')
}

function readIfPresent(path: string, isNeeded: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (!isNeeded && (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES')) return undefined
    throw new BuilderError('OCI_OPTION_INVALID', `${path} cannot be read (${code})`, {
      hint: 'TSBUILD_GC_FILE names the rules by which the build cache is tidied up; TSBUILD_GC=false does without',
      cause,
    })
  }
}

const FIELDS = [
  'enabled',
  'defaultKeepStorage',
  'defaultReservedSpace',
  'defaultMaxUsedSpace',
  'defaultMinFreeSpace',
  'policy',
]
const RULE_FIELDS = ['all', 'filter', 'keepDuration', 'keepStorage', 'reservedSpace', 'maxUsedSpace', 'minFreeSpace']

/** `builder.gc` of Docker's `daemon.json`, or all of such a file. */
function readPolicyFile(text: string, path: string): GarbagePolicy {
  const document = objectIn(parseJson(text, path), path)
  const builder = 'builder' in document ? objectIn(document['builder'], `${path}: builder`) : undefined
  const gc = builder === undefined ? document : objectIn(builder['gc'] ?? {}, `${path}: builder.gc`)
  checkFields(gc, FIELDS, path)
  const space = (name: string): SpaceBound | undefined =>
    gc[name] === undefined ? undefined : spaceOf(gc[name], `${path}: ${name}`)
  const { policy, enabled = true } = gc
  if (typeof enabled !== 'boolean') throw invalid(`${path}: enabled is true or false`, 'see docs/cache.md')
  if (policy !== undefined && !Array.isArray(policy)) throw invalid(`${path}: policy is no list`, 'see docs/cache.md')
  return {
    isEnabled: enabled,
    reserved: space('defaultReservedSpace') ?? space('defaultKeepStorage'),
    maxUsed: space('defaultMaxUsedSpace'),
    minFree: space('defaultMinFreeSpace'),
    rules: policy?.map((rule: unknown, at) =>
      ruleOf(objectIn(rule, `${path}: policy[${at}]`), `${path}: policy[${at}]`),
    ),
  }
}

type Fields = Readonly<Record<string, unknown>>

function ruleOf(rule: Fields, where: string): NonNullable<GarbagePolicy['rules']>[number] {
  checkFields(rule, RULE_FIELDS, where)
  const { all = false, filter = [], keepDuration } = rule
  if (typeof all !== 'boolean') throw invalid(`${where}.all is true or false`, 'see docs/cache.md')
  if (keepDuration !== undefined && typeof keepDuration !== 'string')
    throw invalid(`${where}.keepDuration is no text`, 'as in "48h"')
  if (!Array.isArray(filter)) throw invalid(`${where}.filter is no list`, 'as in ["type=exec.cachemount"]')
  const space = (name: string): SpaceBound | undefined =>
    rule[name] === undefined ? undefined : spaceOf(rule[name], `${where}.${name}`)
  return {
    all,
    filters: filter.map(String),
    unusedFor: keepDuration,
    reserved: space('reservedSpace') ?? space('keepStorage'),
    maxUsed: space('maxUsedSpace'),
    minFree: space('minFreeSpace'),
  }
}

function checkFields(fields: Fields, known: readonly string[], where: string): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw invalid(`${where}: unknown field ${JSON.stringify(unknown)}`, `known are ${known.join(', ')}`)
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new BuilderError('OCI_OPTION_INVALID', `${path} is no JSON`, { hint: 'see docs/cache.md', cause })
  }
}

function objectIn(value: unknown, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(`${where} is no object`, 'see docs/cache.md')
}

function invalid(message: string, hint: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', message, { hint })
}
