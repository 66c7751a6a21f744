import { formatTime } from '../oci/go-json.ts'
import { parseReference } from '../oci/reference.ts'
import type { Descriptor } from '../oci/types.ts'
import { annotationsFor } from './annotations.ts'
import type { Composed } from './compose.ts'
import type { ImageSettings } from './image-settings.ts'

/** Name of the whole image, and the name within a layout. */
export const IMAGE_NAME = 'io.containerd.image.name'
export const REF_NAME = 'org.opencontainers.image.ref.name'
const CREATED = 'org.opencontainers.image.created'

/** The content of `oci-layout`. */
export const LAYOUT_FILE = '{"imageLayoutVersion":"1.0.0"}'

/** What names the written image, as BuildKit tells it: an index has no platform. */
export function rootDescriptor({ images, index, root }: Composed, settings: ImageSettings): Descriptor {
  const { platform } = images[0].source.image
  const own =
    index === undefined
      ? annotationsFor(settings, 'manifest-descriptor', platform)
      : annotationsFor(settings, 'index-descriptor')
  return {
    ...root,
    ...(Object.keys(own).length === 0 ? {} : { annotations: own }),
    ...(index === undefined ? { platform } : {}),
  }
}

/** The same of a layout, which says when it was made: `nowMs` unless an epoch is set. */
export function layoutDescriptor(composed: Composed, settings: ImageSettings, nowMs: number): Descriptor {
  const createdMs = settings.sourceDateEpoch === undefined ? nowMs : settings.sourceDateEpoch * 1000
  const { annotations, platform, ...root } = rootDescriptor(composed, settings)
  // Whole seconds, as containerd formats it (RFC 3339 without fraction).
  const created = formatTime(Math.floor(createdMs / 1000) * 1000)
  return {
    ...root,
    annotations: { ...annotations, [CREATED]: created },
    ...(platform === undefined ? {} : { platform }),
  }
}

/** The entries of `index.json`: one a name, or one without. */
export function layoutEntries(descriptor: Descriptor, { names }: ImageSettings): readonly Descriptor[] {
  if (names.length === 0) return [descriptor]
  const { annotations } = descriptor
  return names.map((name) => ({
    ...descriptor,
    annotations: { [IMAGE_NAME]: name, ...annotations, [REF_NAME]: refName(name) },
  }))
}

function refName(name: string): string {
  const { tag, digest } = parseReference(name)
  return tag ?? digest ?? name
}
