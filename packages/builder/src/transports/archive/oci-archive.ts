import { BuilderError } from '../../base/errors.ts'
import { chooseImage } from '../layout/layout.ts'
import { splitPath } from '../split-path.ts'
import type { Transport } from '../types.ts'
import { isLayout } from './layout-images.ts'
import { openArchive } from './open.ts'
import { writeImageArchive } from './write.ts'

/** `oci-archive:FILE[:NAME]`: an OCI image layout as one tar. */
export const transport: Transport = {
  async open(rest, _options, context) {
    const [path, name] = splitPath('oci-archive', rest)
    const files = await openArchive(path, context)
    if (!isLayout(files))
      throw new BuilderError('OCI_ARCHIVE_INVALID', `${path} holds no OCI image layout`, {
        hint: `if docker save wrote it: docker-archive:${rest}`,
      })
    return { images: [await chooseImage(files, name)], [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() }
  },
  async target(rest, _options, context) {
    const [path, name] = splitPath('oci-archive', rest)
    return {
      takesIndex: true,
      wantsCompressed: false,
      write: (bundles) =>
        writeImageArchive(
          path,
          bundles.map((bundle) => ({ ...bundle, names: [] })),
          { isDocker: false, word: name },
          context,
        ),
    }
  },
}
