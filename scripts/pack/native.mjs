// The native parts of a release: where they are made, and where they stand in the package.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, stop } from '../setup.mjs'

const runtime = join(root, 'packages', 'runtime')

/** Files as `{ from, to }`; `which`: `here` for what `npm run build` made on this machine, `all` for every target. */
export function nativeParts(which) {
  const folder = which === 'here' ? 'dist/native' : 'native/prebuilt'
  const files = existsSync(join(runtime, folder)) ? readdirSync(join(runtime, folder), { recursive: true }) : []
  const parts = files.filter((file) => /(?:^|\/)(?:addon\.node|ts-oci-launcher)$/.test(file))
  if (parts.length === 0)
    stop(`${folder} holds no native parts`, which === 'here' ? 'npm run build' : 'npm run native -- --all')
  return parts.map((file) => ({ from: join(runtime, folder, file), to: `${folder}/${file}` }))
}
