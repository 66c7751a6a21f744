// `npm run pack [-- --dest DIR] [--no-build] [--native here]`: the tarballs of the three packages, as a registry would get
// them. `--native here` takes the native parts of this machine alone (for trying); a release carries all targets.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { nativeParts } from './pack/native.mjs'
import { stagePackage } from './pack/stage.mjs'
import { compile, environment, installPackages, nodeBinary, root, run, step, stop } from './setup.mjs'

/** A package stands behind those that it needs. */
const names = ['runtime', 'builder', 'cli']

const { values } = parseArgs({
  options: {
    dest: { type: 'string', default: join(root, 'dist') },
    'no-build': { type: 'boolean', default: false },
    native: { type: 'string', default: 'all' },
  },
})
if (!['all', 'here'].includes(values.native)) stop(`--native ${values.native}`, 'all or here')
const dest = resolve(values.dest)
if (!values['no-build']) await build()
const stage = mkdtempSync(join(tmpdir(), 'ts-oci-pack-'))
try {
  for (const name of names) {
    const extra = name === 'runtime' ? nativeParts(values.native) : []
    stagePackage({ name, target: join(stage, name), extra })
  }
  mkdirSync(dest, { recursive: true })
  for (const file of pack(stage)) {
    console.log(
      `${relative(process.cwd(), join(dest, file))}  ${Math.round(statSync(join(dest, file)).size / 1024)} KiB`,
    )
  }
} finally {
  rmSync(stage, { recursive: true, force: true })
}

async function build() {
  await installPackages()
  await compile()
  if (values.native === 'here') return
  step('native parts of all targets')
  const script = join(root, 'packages', 'runtime', 'scripts', 'build-native.mjs')
  const status = await run(nodeBinary(), [script, '--all'], { env: environment() })
  if (status !== 0) stop('the native parts could not be made', 'a release carries all of them')
}

/** npm sets times and owners itself: the same files give the same tarball. */
function pack(folder) {
  const folders = names.map((name) => join(folder, name))
  const args = ['pack', ...folders, '--pack-destination', dest, '--json', '--ignore-scripts']
  const result = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (result.status !== 0) stop(`npm pack failed${result.error ? `: ${result.error.message}` : ''}`)
  const packed = JSON.parse(result.stdout)
  // npm 11 answers a list, later ones an object by name.
  return Object.values(packed).map(({ filename }) => filename)
}
