// One package as it is published: what was compiled from sources that are there, those sources (the maps point to them),
// the texts. No test and no helper of tests: which those are, their names say.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root, stop } from '../setup.mjs'

const OF_TESTS = /(?:^|[./-])(?:test|testing)[./-]/
const COMPILED = /\.(?:js|js\.map|d\.ts|d\.ts\.map)$/

/** `extra`: files from elsewhere, as `{ from, to }`, `to` inside the package. */
export function stagePackage({ name, target, extra }) {
  const folder = join(root, 'packages', name)
  const sources = listFiles(join(folder, 'src')).filter((file) => /\.(?:ts|proto)$/.test(file) && !OF_TESTS.test(file))
  for (const file of sources) copy(join(folder, 'src', file), join(target, 'src', file))
  for (const file of compiledFiles(folder, sources)) copy(join(folder, 'dist', file), join(target, 'dist', file))
  for (const part of ['bin', 'dist/bundle', 'native', 'scripts', 'README.md']) {
    if (isPublished(folder, part)) copy(join(folder, part), join(target, part))
  }
  copy(join(root, 'LICENSE'), join(target, 'LICENSE'))
  for (const { from, to } of extra) copy(from, join(target, to))
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(published(manifest), undefined, 2)}\n`)
}

/** A folder that was renamed leaves its old output behind: what has no source is none of ours. */
function compiledFiles(folder, sources) {
  const stems = new Set(sources.filter((file) => /(?<!\.d)\.ts$/.test(file)).map((file) => file.replace(/\.ts$/, '')))
  // Texts (the help) are written by the build as a whole, and have no source of their own.
  const isMade = (file) => file.endsWith('.txt') || stems.has(file.replace(COMPILED, ''))
  const files = listFiles(join(folder, 'dist')).filter((file) => !file.startsWith('bundle/') && isMade(file))
  const missing = [...stems].filter((stem) => !files.includes(`${stem}.js`))
  if (missing.length > 0) stop(`${missing[0]}.ts of ${folder} is not compiled`, 'npm run build')
  return files
}

function isPublished(folder, part) {
  const { files } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const isNamed = part === 'README.md' || files.some((entry) => part === entry || part.startsWith(`${entry}/`))
  return isNamed && existsSync(join(folder, part))
}

/** Nothing runs at install, and nothing leads to sources: Node strips no types below node_modules. */
function published({ scripts: _scripts, devDependencies: _dev, oclif: _oclif, exports, ...manifest }) {
  const conditions = Object.entries(exports).map(([path, target]) => {
    if (typeof target === 'string') return [path, target]
    const { '@ts-oci/source': _source, ...others } = target
    return [path, others]
  })
  return { ...manifest, exports: Object.fromEntries(conditions) }
}

function listFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true }).filter((file) => statSync(join(folder, file)).isFile())
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true })
}
