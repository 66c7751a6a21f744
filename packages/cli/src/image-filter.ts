import type { ImageSummary } from '@ts-oci/builder'
import { splitOnce } from './build/csv.ts'
import { namePattern } from './name-pattern.ts'
import { UsageError } from './usage-error.ts'

type Predicate = (image: ImageSummary) => boolean

/** `--filter` of images as Docker reads it: values of one name are alternatives, names narrow down. @throws UsageError */
export function imageFilter(filters: readonly string[]): Predicate {
  const byName = new Map<string, Predicate[]>()
  for (const filter of filters) {
    const [name, value = ''] = splitOnce(filter, '=')
    byName.set(name, [...(byName.get(name) ?? []), predicateOf(name, value, filter)])
  }
  return (image) => [...byName.values()].every((alternatives) => alternatives.some((fits) => fits(image)))
}

function predicateOf(name: string, value: string, filter: string): Predicate {
  if (name === 'dangling' && /^(true|false|1|0)$/.test(value)) {
    const wanted = value === 'true' || value === '1'
    return (image) => (image.repository === '<none>') === wanted
  }
  if (name === 'reference' && value !== '') {
    const matches = namePattern(value)
    if (matches === undefined)
      throw new UsageError(`--filter ${filter}: syntax error in pattern`, {
        hint: 'close every [ with ], and put \\ before a character that stands for itself',
      })
    return ({ repository, tag }) => matches(repository) || matches(`${repository}:${tag}`)
  }
  throw new UsageError(`--filter ${filter} is not supported`, {
    hint: "dangling=true, dangling=false, or reference=PATTERN, as in reference='my-*:1.?'",
  })
}
