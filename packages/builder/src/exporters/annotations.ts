import { BuilderError } from '../base/errors.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { parsePlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/types.ts'
import type { Attributes } from './attributes.ts'
import type { ExportDefaults } from './types.ts'

const TARGETS = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const

/** What is annotated: an image's manifest, its entry in an index, an index, the entry of that in a layout. */
export type AnnotationTarget = (typeof TARGETS)[number]

export interface Annotation {
  readonly target: AnnotationTarget
  /** As it was written; undefined: of every platform. */
  readonly platform: string | undefined
  readonly key: string
  readonly value: string
}

const ATTRIBUTE = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/
const OF_THE_BUILD = /^(?:([a-z-]+)(?:\[([^\]]*)\])?:)?(.*)$/s

/**
 * Takes the attributes `annotation.KEY`, `annotation-TARGET.KEY`, `annotation[PLATFORM].KEY`, behind those of the build.
 * @throws OCI_OPTION_INVALID
 */
export function readAnnotations(
  type: string,
  attributes: Attributes,
  { annotations = {}, platforms = [] }: ExportDefaults,
): readonly Annotation[] {
  const isSingle = platforms.length < 2
  const check = (target: string): AnnotationTarget => {
    const found = TARGETS.find((one) => one === target)
    if (found === undefined) throw invalid(type, `unknown annotation type ${JSON.stringify(target)}`)
    if (!found.startsWith('index')) return found
    if (isSingle) throw invalid(type, 'index annotations not supported for single platform export')
    return found
  }
  const ofTheBuild = Object.entries(annotations).map(([text, value]): Annotation => {
    const [target, platform, key] = splitKey(text)
    return { target: check(target), platform, key, value }
  })
  const own = attributes
    .matching(ATTRIBUTE)
    .map(([[, target = 'manifest', platform, key = ''], value]): Annotation => ({
      target: check(target),
      platform,
      key,
      value,
    }))
  return [...ofTheBuild, ...own]
}

/** `TARGET[PLATFORM]:KEY`; a key alone, whatever colons are in it, is of the manifest. */
function splitKey(text: string): readonly [target: string, platform: string | undefined, key: string] {
  const [, target, platform, key = ''] = OF_THE_BUILD.exec(text) ?? []
  return target !== undefined && TARGETS.some((one) => one === target)
    ? [target, platform, key]
    : ['manifest', undefined, text]
}

/** Those of one thing. What is said of a platform wins over what is said of all. */
export function annotationsFor(
  { annotations }: { readonly annotations: readonly Annotation[] },
  target: AnnotationTarget,
  platform?: Platform,
): Readonly<Record<string, string>> {
  const result: Record<string, string> = {}
  const wanted = annotations.filter((one) => one.target === target)
  // An index is of no platform, whatever was written: as BuildKit has it.
  const ofAll = wanted.filter((one) => one.platform === undefined || platform === undefined)
  const ofPlatform = wanted.filter(
    (one) =>
      one.platform !== undefined && platform !== undefined && isSamePlatform(parsePlatform(one.platform), platform),
  )
  // Not an assignment: a key such as __proto__ would be lost.
  for (const { key, value } of [...ofAll, ...ofPlatform])
    Object.defineProperty(result, key, { value, enumerable: true, writable: true, configurable: true })
  return result
}

function invalid(type: string, what: string): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `output type=${type}: ${what}`)
}
