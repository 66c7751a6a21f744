// The base as an image layout beside the context, so that whoever builds again asks no registry and gets the same bytes.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { nodeBinary, root, stop } from '../setup.mjs'

/** Pulls $ENVIRONMENTS_IMAGE, as a registry has it, into a layout; returns `{ digest }` of its manifest. */
export function pullBase(layout) {
  const image = process.env['ENVIRONMENTS_IMAGE'] ?? 'debian:bookworm-slim'
  const store = `${layout}-store`
  rmSync(layout, { recursive: true, force: true })
  const words = ['pull', '-q', '--store', store, image]
  const { status } = spawnSync(nodeBinary(), [join(root, 'packages/cli/bin/run.js'), ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) stop(`${image} could not be pulled`, 'ENVIRONMENTS_IMAGE names another Debian image')
  mkdirSync(layout, { recursive: true })
  for (const part of ['oci-layout', 'index.json', 'blobs'])
    cpSync(join(store, part), join(layout, part), { recursive: true })
  rmSync(store, { recursive: true, force: true, maxRetries: 3 })
  // Others than the owner of the store build from it, too.
  spawnSync('chmod', ['-R', 'a+rX', layout])
  const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))
  return { digest: manifests[0].digest }
}
