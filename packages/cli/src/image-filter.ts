import type { ImageSummary } from '@ts-oci/builder'
import { splitOnce } from './build/csv.ts'
import { namePattern } from './name-pattern.ts'
import { UsageError } from './usage-error.ts'

type Predicate = (image: ImageSummary) => boolean

export interface ImageFilterContext {
  /** All images of the store: of some of them others ask the age. */
  readonly all: readonly ImageSummary[]
  readonly parseTime: (text: string, nowMs: number) => number | undefined
  readonly nowMs: number
}

/** Whether the labels of images have to be read for these filters. */
export function asksForLabels(filters: readonly string[]): boolean {
  return filters.some((filter) => /^\s*label/i.test(filter))
}

/**
 * `--filter` of images as Docker reads it: values of one name are alternatives (of `label` all have to fit), names narrow down.
 * @throws UsageError
 */
export function imageFilter(filters: readonly string[], context: ImageFilterContext): Predicate {
  const byName = new Map<string, Predicate[]>()
  for (const filter of filters) {
    const [typed, value = ''] = splitOnce(filter, '=')
    const name = typed.trim().toLowerCase()
    byName.set(name, [...(byName.get(name) ?? []), predicateOf(name, value.trim(), filter, context)])
  }
  return (image) =>
    [...byName].every(([name, fits]) =>
      name.startsWith('label') ? fits.every((one) => one(image)) : fits.some((one) => one(image)),
    )
}

function predicateOf(name: string, value: string, filter: string, context: ImageFilterContext): Predicate {
  if (name === 'dangling' && /^(true|false|1|0)$/.test(value)) {
    const wanted = value === 'true' || value === '1'
    return (image) => (image.repository === '<none>') === wanted
  }
  if (name === 'reference' && value !== '') return byReference(value, filter)
  if ((name === 'label' || name === 'label!') && value !== '') return byLabel(value, name === 'label')
  if ((name === 'before' || name === 'since') && value !== '') {
    const limit = createdOf(value, filter, context)
    return ({ createdMs = 0 }) => (name === 'before' ? createdMs < limit : createdMs > limit)
  }
  if (name === 'until') {
    const limit = context.parseTime(value, context.nowMs)
    if (limit !== undefined) return ({ createdMs = 0 }) => createdMs < limit
  }
  throw new UsageError(`--filter ${filter} is not supported`, {
    hint: "dangling=true, label=NAME, label=NAME=VALUE, before=IMAGE, since=IMAGE, until=24h, or reference=PATTERN, as in reference='my-*:1.?'",
  })
}

function byReference(value: string, filter: string): Predicate {
  const matches = namePattern(value)
  if (matches === undefined)
    throw new UsageError(`--filter ${filter}: syntax error in pattern`, {
      hint: 'close every [ with ], and put \\ before a character that stands for itself',
    })
  return ({ repository, tag }) => matches(repository) || matches(`${repository}:${tag}`)
}

function byLabel(value: string, isWanted: boolean): Predicate {
  const [name, wanted] = splitOnce(value, '=')
  return ({ labels = {} }) =>
    (Object.hasOwn(labels, name) && (wanted === undefined || labels[name] === wanted)) === isWanted
}

/** Of an image by its name, its id or the beginning of it. */
function createdOf(value: string, filter: string, { all }: ImageFilterContext): number {
  const hex = value.replace(/^sha256:/, '')
  const isId = /^[0-9a-f]{2,64}$/.test(hex)
  const named = all.find(
    ({ repository, tag }) => value === `${repository}:${tag}` || (tag === 'latest' && value === repository),
  )
  const found = named ?? (isId ? all.find(({ id }) => id.startsWith(`sha256:${hex}`)) : undefined)
  if (found !== undefined) return found.createdMs ?? 0
  throw new UsageError(`--filter ${filter}: No such image: ${value}`, {
    hint: 'tsbuild images lists what is there',
    exitCode: 1,
  })
}
