import { BuilderError } from '../base/errors.ts'
import { MediaType } from '../oci/media-types.ts'
import { isSamePlatform } from '../oci/platform-match.ts'
import { parsePlatform } from '../oci/platform.ts'
import type { Descriptor, ImageIndex } from '../oci/types.ts'

export interface IndexAnnotation {
  readonly target: 'index' | 'manifest-descriptor'
  /** As it was written; undefined: of every entry. */
  readonly platform: string | undefined
  readonly key: string
  readonly value: string
}

const KEY = /^(?:([a-z-]+)(?:\[([^\]]*)\])?:)?(.*)$/s

/** Keys as of a build, `TARGET[PLATFORM]:KEY`: an index has no manifest of its own to annotate. @throws OCI_OPTION_INVALID in buildx's words */
export function checkIndexAnnotations(annotations: Readonly<Record<string, string>>): readonly IndexAnnotation[] {
  return Object.entries(annotations).map(([text, value]) => {
    const [, target = '', platform, key = ''] = KEY.exec(text) ?? []
    if (target === 'index' || target === 'manifest-descriptor') return { target, platform, key, value }
    throw new BuilderError(
      'OCI_OPTION_INVALID',
      target === 'index-descriptor'
        ? '"index-descriptor" annotations are invalid while creating an image'
        : `"${target === 'manifest' ? target : ''}" annotations are not supported yet`,
      { hint: 'index:KEY=VALUE is of the index, manifest-descriptor:KEY=VALUE of its entries' },
    )
  })
}

/** Those of the index take the place of those that it has; those of entries are added. @throws OCI_OPTION_INVALID */
export function applyAnnotations(index: ImageIndex, annotations: readonly IndexAnnotation[]): ImageIndex {
  if (annotations.length === 0) return index
  if (index.mediaType === MediaType.dockerList)
    throw new BuilderError('OCI_OPTION_INVALID', 'a manifest list of Docker has no annotations', {
      hint: 'images with OCI media types give an index, which has',
    })
  const own = annotations.filter(({ target }) => target === 'index')
  return {
    ...index,
    manifests: index.manifests.map((entry) => annotated(entry, annotations)),
    ...(own.length === 0 ? {} : { annotations: Object.fromEntries(own.map(({ key, value }) => [key, value])) }),
  }
}

function annotated(entry: Descriptor, annotations: readonly IndexAnnotation[]): Descriptor {
  const { platform } = entry
  const added = annotations.filter(
    (one) =>
      one.target === 'manifest-descriptor' &&
      (one.platform === undefined || (platform !== undefined && isSamePlatform(parsePlatform(one.platform), platform))),
  )
  if (added.length === 0) return entry
  const all = { ...entry.annotations, ...Object.fromEntries(added.map(({ key, value }) => [key, value])) }
  return { ...entry, annotations: all }
}
