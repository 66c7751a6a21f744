import { canonicalName } from '../../oci/reference.ts'
import type { Transport } from '../types.ts'
import { readStoreImage } from './read.ts'
import { writeToStore } from './write.ts'

/** `store:NAME`: the store. */
export const transport: Transport = {
  async open(rest, _options, context) {
    return { images: [await readStoreImage(rest, context)], [Symbol.asyncDispose]: async () => undefined }
  },
  async target(rest, _options, context) {
    const name = canonicalName(rest)
    return {
      takesIndex: true,
      wantsCompressed: false,
      write: async ([bundle]) => [await writeToStore({ ...bundle!, names: [name] }, context)],
    }
  },
}
