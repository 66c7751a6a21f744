import { readAttributes } from '../attributes.ts'
import type { Exporter } from '../types.ts'

/** `type=cacheonly`: the build runs and nothing leaves the cache. */
export const exporter: Exporter<{ readonly dest?: undefined }> = {
  prepare(output) {
    readAttributes(output.type, output.attrs).end()
    return {
      type: output.type,
      name: 'keeping the result in the cache',
      reads: 'nothing',
      run: async () => ({ type: output.type, names: [] }),
    }
  },
}
