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

/** The entries of `index.json`: one a name, or one without. `nowMs` unless an epoch is set. */
export function layoutEntries(
  { images, index, root }: Composed,
  settings: ImageSettings,
  nowMs: number,
): readonly Descriptor[] {
  const createdMs = settings.sourceDateEpoch === undefined ? nowMs : settings.sourceDateEpoch * 1000
  const { platform } = images[0].source.image
  const own =
    index === undefined
      ? annotationsFor(settings, 'manifest-descriptor', platform)
      : annotationsFor(settings, 'index-descriptor')
  // Whole seconds, as containerd formats it (RFC 3339 without fraction).
  const annotations = { ...own, [CREATED]: formatTime(Math.floor(createdMs / 1000) * 1000) }
  const names = settings.names.length === 0 ? [undefined] : settings.names
  return names.map((name) => ({
    ...root,
    annotations: name === undefined ? annotations : { [IMAGE_NAME]: name, ...annotations, [REF_NAME]: refName(name) },
    ...(index === undefined ? { platform } : {}),
  }))
}

function refName(name: string): string {
  const { tag, digest } = parseReference(name)
  return tag ?? digest ?? name
}
