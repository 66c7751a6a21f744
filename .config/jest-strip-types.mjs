import { createHash } from 'node:crypto'
import { stripTypeScriptTypes } from 'node:module'

/** Jest transform: types are replaced by blanks, so lines and columns of a stack trace stay true. */
export default {
  canInstrument: false,
  getCacheKey(source, path) {
    return createHash('sha256')
      .update(process.version)
      .update('\0')
      .update(path)
      .update('\0')
      .update(source)
      .digest('hex')
  },
  process(source) {
    return { code: stripTypeScriptTypes(source) }
  },
}
