/** A build in a process of its own, to be killed: `node THIS OPTIONS`. Says `begun`, then its config's digest. */
import { build } from './build.ts'
import { isTsOciError } from '../base/errors.ts'
import type { BuildOptions } from '../build/public-types.ts'

let hasBegun = false
const options = JSON.parse(process.argv[2]!) as BuildOptions
try {
  const result = await build({
    ...options,
    onProgress: () => {
      if (!hasBegun) process.stdout.write('begun\n')
      hasBegun = true
    },
  })
  process.stdout.write(`${result.configDigest}\n`)
} catch (error) {
  process.stdout.write(`${isTsOciError(error) ? `${error.code} ${error.message} ${error.hint}` : String(error)}\n`)
  process.exitCode = 1
}
