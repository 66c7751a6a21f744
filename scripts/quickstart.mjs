// `npm run quickstart`: set-up, then the main job once, with no registry, no daemon and no network beyond npm.
import { join } from 'node:path'
import { compile, environment, installPackages, nodeBinary, root, run, stop } from './setup.mjs'

if (process.platform !== 'linux')
  stop('tsbuild runs steps on Linux only', 'parsing, checks and graphs work elsewhere: see README.md')
await installPackages()
await compile()
process.exitCode = await run(nodeBinary(), [join(root, 'scripts', 'quickstart-demo.mjs')], { env: environment() })
