import type { ImageSummary } from '@ts-oci/builder'
import { splitOnce } from './build/csv.ts'
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
    const pattern = patternOf(value)
    return ({ repository, tag }) => pattern.test(repository) || pattern.test(`${repository}:${tag}`)
  }
  throw new UsageError(`--filter ${filter} is not supported`, {
    hint: "dangling=true, dangling=false, or reference=PATTERN, as in reference='my-*:1.?'",
  })
}

/** `*` and `?` stop at a slash, as in Go's path.Match, which Docker uses. */
function patternOf(text: string): RegExp {
  const source = text
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  return new RegExp(`^${source}$`)
}
