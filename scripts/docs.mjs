// `npm run docs`: writes what is made from the sources into docs/.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { specs } from '../packages/cli/dist/flags.js'
import { renderManual } from '../packages/cli/dist/render/manual.js'
import { root } from './setup.mjs'

mkdirSync(join(root, 'docs'), { recursive: true })
writeFileSync(join(root, 'docs', 'commands.md'), renderManual(specs))
