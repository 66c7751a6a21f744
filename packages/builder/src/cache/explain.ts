import type { Store } from '../store/types.ts'
import type { CacheKey, CacheNote } from './types.ts'

/** Tells why vertices missed the cache, from what the same place of the same project was keyed with the last time. */
export interface Explainer {
  /** Undefined when nothing is known of an earlier run. */
  explain(name: string, key: CacheKey): string | undefined
  /** What is to be noted, beside its record, of the key that a place has now. */
  notes(name: string, key: string): readonly CacheNote[]
}

/**
 * @param scopes what tells projects apart: the directory of the context, its repository, the names of the image, the text of
 *   the Dockerfile. A CI clones anew each time: what is nearest among the last runs of any of them is compared, of equally
 *   near ones that of the first scope. Asked when something runs.
 */
export function createExplainer(store: Pick<Store, 'cache'>, scopes: () => readonly string[]): Explainer {
  const { cache } = store
  const factsOf = (name: string): string[] => scopes().map((scope) => `last:${scope}:${placeOf(name)}`)
  return {
    explain: (name, key) => {
      const last = new Set(factsOf(name).flatMap((fact) => cache.getFact(fact) ?? []))
      let nearest: Differences | undefined
      for (const one of last) {
        const before = cache.find(one)
        if (before === undefined) continue
        const found = differencesOf(before.preimage, key.preimage)
        if (nearest === undefined || found.count < nearest.count) nearest = found
      }
      return nearest && inWords(nearest)
    },
    notes: (name, key) => factsOf(name).map((fact) => [fact, key]),
  }
}

/** `[build 4/4] RUN` of `[build 4/4] RUN npm ci`: the rest is what may have changed. */
function placeOf(name: string): string {
  return /^(?:\[[^\]]*\] )?\S+/.exec(name)?.[0] ?? name
}

/** What differs between two preimages of keys; something always does. */
export function explainDifference(before: string, after: string): string {
  return inWords(differencesOf(before, after))
}

interface Differences {
  readonly reasons: readonly string[]
  /** How far apart the two are: each file counts. */
  readonly count: number
}

function differencesOf(before: string, after: string): Differences {
  const then = JSON.parse(before) as Preimage
  const now = JSON.parse(after) as Preimage
  const op = compare('', then.op, now.op)
  const inputs = compareInputs(then, now)
  return {
    reasons: [...op, ...inputs.map(({ words }) => words)],
    count: op.length + inputs.reduce((sum, { count }) => sum + count, 0),
  }
}

function inWords({ reasons }: Differences): string {
  return reasons.length === 0 ? 'it was dropped from the cache' : reasons.slice(0, MAX_REASONS).join('; ')
}

const MAX_REASONS = 3

interface Preimage {
  readonly op?: unknown
  readonly files?: readonly (Readonly<Record<string, string>> | null)[]
  readonly inputs?: readonly {
    readonly key?: string
    readonly content?: string
    readonly selectors?: readonly { readonly path: string }[]
  }[]
}

/** What of one input differs, in words, and how many things that is. */
interface InputDifference {
  readonly words: string
  readonly count: number
}

function compareInputs(before: Preimage, after: Preimage): InputDifference[] {
  const then = before.inputs ?? []
  const now = after.inputs ?? []
  if (then.length !== now.length) return [single(`it has ${now.length} inputs, then ${then.length}`)]
  return now.flatMap((input, index) => {
    const other = then[index]!
    if (input.content !== undefined && other.content !== undefined && input.content !== other.content) {
      const files = compareFiles(before.files?.[index], after.files?.[index])
      return files.length > 0
        ? files
        : [single(`the content of ${(input.selectors ?? []).map((selector) => selector.path).join(', ')} changed`)]
    }
    if (input.key !== undefined && other.key !== undefined && input.key !== other.key)
      return [single(index === 0 ? 'what it builds on changed' : `input ${index + 1} changed`)]
    return []
  })
}

function single(words: string): InputDifference {
  return { words, count: 1 }
}

const MAX_FILES = 3

function compareFiles(
  then: Readonly<Record<string, string>> | null | undefined,
  now: Readonly<Record<string, string>> | null | undefined,
): InputDifference[] {
  if (!then || !now || !hasModes(then)) return []
  const changes = [
    ...Object.keys(now).flatMap((path) => {
      const [mark, other] = [now[path]!, then[path]]
      if (other === undefined) return [`${path} is new`]
      return other === mark ? [] : [compareMarks(path, other, mark)]
    }),
    ...Object.keys(then).flatMap((path) => (now[path] === undefined ? [`${path} is gone`] : [])),
  ]
  if (changes.length === 0) return []
  const rest = changes.length > MAX_FILES ? ` and ${changes.length - MAX_FILES} more` : ''
  return [{ words: `${changes.slice(0, MAX_FILES).join(', ')}${rest}`, count: changes.length }]
}

/** Marks as stores of older releases have them say nothing about modes: nothing can be compared with them. */
function hasModes(marks: Readonly<Record<string, string>>): boolean {
  return Object.values(marks).every((mark) => mark.includes(':'))
}

/** A mark is a mode and a checksum of all else: `644:1b2c`. */
function compareMarks(path: string, then: string, now: string): string {
  const [oldMode = '', oldRest] = then.split(':')
  const [mode = '', rest] = now.split(':')
  if (rest !== oldRest) return `${path} changed`
  return `mode of ${path} changed from ${oldMode.padStart(4, '0')} to ${mode.padStart(4, '0')}`
}

/** Members of an op by their LLB names, in the words of a Dockerfile. */
const WORDS: Readonly<Record<string, string>> = {
  args: 'the command',
  cwd: 'the working directory',
  user: 'the user',
  network: '--network',
  security: '--security',
  mounts: 'the mounts',
  secretEnv: 'the secrets',
  extraHosts: '--add-host',
  hostname: 'the hostname',
  ulimits: '--ulimit',
  src: 'the source',
  dest: 'the destination',
  owner: '--chown',
  mode: '--chmod',
  modeStr: '--chmod',
  includePatterns: '--parents',
  excludePatterns: '--exclude',
  data: 'the text of the file',
  epochMs: 'SOURCE_DATE_EPOCH',
}

/** What differs between two values of an op: the outermost member that has a word is named. */
function compare(member: string, then: unknown, now: unknown): string[] {
  if (JSON.stringify(then) === JSON.stringify(now)) return []
  if (member === 'env' && Array.isArray(then) && Array.isArray(now))
    return compareEnv(then as string[], now as string[])
  const word = WORDS[member]
  if (word !== undefined)
    return [
      isShort(then) && isShort(now)
        ? `${word} changed from ${JSON.stringify(then)} to ${JSON.stringify(now)}`
        : `${word} changed`,
    ]
  const isList = Array.isArray(then) && Array.isArray(now) && then.length === now.length
  if (isList) return unique(now.flatMap((item, index) => compare('', then[index], item)))
  if (isRecord(then) && isRecord(now)) {
    return unique(
      [...new Set([...Object.keys(then), ...Object.keys(now)])].flatMap((key) => compare(key, then[key], now[key])),
    )
  }
  return ['the instruction changed']
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)]
}

function isShort(value: unknown): boolean {
  return (typeof value === 'string' && value.length <= 60) || typeof value === 'number'
}

function compareEnv(then: readonly string[], now: readonly string[]): string[] {
  const names = (list: readonly string[]): Map<string, string> =>
    new Map(list.map((entry) => [entry.split('=', 1)[0]!, entry]))
  const before = names(then)
  const after = names(now)
  const changed = [...after]
    .filter(([name, entry]) => before.get(name) !== entry)
    .map(([name]) => `variable ${name} ${before.has(name) ? 'changed' : 'is new'}`)
  return [
    ...changed,
    ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `variable ${name} is gone`),
  ]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
