// Puts what `tsbuild build` loads into a few files under dist/bundle: Node reads and links some 300 modules one by one,
// and that alone took half of a build in which everything is cached. What a cached build does not need stays in chunks
// of its own, loaded on demand.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const cli = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const packages = resolve(cli, '..')
const target = join(cli, 'dist', 'bundle')
const making = `${target}.making`

/** What is loaded together when the first of it is needed; the first that matches. */
const GROUPS = {
  // All that a build loads in which nothing is left to do.
  build: /^cli\/dist\/(?:build\/|commands\/build\.js)/,
  // The library, and the output of a build that names none.
  builder: /^builder\/dist\/(?:index\.js|exporters\/image\/)/,
  commands: /^cli\/dist\/commands\//,
  help: /^cli\/dist\/help\//,
  // What other programs call it: for a command line that is none of ours.
  foreign: /^cli\/dist\/foreign\//,
  registry: /^builder\/dist\/registry\//,
  // A step, a copy, a pull, a compression.
  work: /\/(?:executor|isolation|network|exec|disk|layers|tar|view)\/|\/apply\.js$/,
  rare: /./,
}
const ON_DEMAND = /\bimport\(\s*['"](\.[^'"]+|@ts-oci\/builder)['"]\s*\)/g

rmSync(making, { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: cli,
  entryPoints: [join(cli, 'dist', 'main.js')],
  outdir: making,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.19',
  // Stack traces name the functions as they are written.
  minify: false,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  // Libraries in CommonJS ask for Node's modules this way.
  banner: { js: "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);" },
  plugins: [{ name: 'own-modules', setup: readOwnModules }],
})
writeFileSync(join(making, 'LICENSES.txt'), licenses())
rmSync(target, { recursive: true, force: true })
mkdirSync(dirname(target), { recursive: true })
renameSync(making, target)

/**
 * Own modules are read with two changes. What is imported on demand is imported in groups: each chunk costs most of a
 * millisecond, and esbuild makes one for every set of entries that share something. And a module that looks for files
 * beside it finds them in its own package, not beside the bundle.
 */
function readOwnModules({ onLoad, onResolve }) {
  const groups = new Map(Object.keys(GROUPS).map((name) => [name, []]))
  onResolve({ filter: /^group:/ }, ({ path }) => ({ path: path.slice('group:'.length), namespace: 'group' }))
  onLoad({ filter: /./, namespace: 'group' }, ({ path }) => {
    const members = groups.get(path).map((file, index) => `export * as member${index} from ${JSON.stringify(file)}`)
    return { contents: members.join('\n'), loader: 'js', resolveDir: cli }
  })
  // All members first: a group is read when the first import of it is met.
  for (const file of ownModules()) for (const [, to] of readFileSync(file, 'utf8').matchAll(ON_DEMAND)) place(file, to)
  onLoad({ filter: /\/packages\/[a-z]+\/dist\/.*\.js$/ }, ({ path }) => {
    const text = readFileSync(path, 'utf8').replaceAll(ON_DEMAND, (_, to) => {
      const { group, index } = place(path, to)
      return `import('group:${group}').then((group) => group.member${index})`
    })
    return { contents: text.replaceAll('import.meta.url', ownUrl(path)), loader: 'js' }
  })

  function place(from, to) {
    const file = to.startsWith('.') ? resolve(dirname(from), to) : join(packages, 'builder/dist/index.js')
    const group = Object.keys(GROUPS).find((name) => GROUPS[name].test(relative(packages, file)))
    const members = groups.get(group)
    if (!members.includes(file)) members.push(file)
    return { group, index: members.indexOf(file) }
  }
}

function ownModules() {
  return ['runtime', 'builder', 'cli'].flatMap((name) => {
    const folder = join(packages, name, 'dist')
    const files = readdirSync(folder, { recursive: true }).filter((file) =>
      /^(?!bundle|oclif).*(?<!\.test)\.js$/.test(file),
    )
    return files.map((file) => join(folder, file))
  })
}

function ownUrl(path) {
  const [name, ...rest] = relative(packages, path).split('/')
  if (name === 'cli') return `new URL(${JSON.stringify(`../${rest.slice(1).join('/')}`)}, import.meta.url).href`
  const packageUrl = `import.meta.resolve('@ts-oci/${name}/package.json')`
  return `new URL(${JSON.stringify(rest.join('/'))}, ${packageUrl}).href`
}

/** The licenses of the libraries that are inside. */
function licenses() {
  const folders = new Set()
  for (const input of Object.keys(metafile.inputs)) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
    if (folder !== undefined) folders.add(resolve(cli, folder))
  }
  return [...folders].toSorted().map(licenseOf).join('\n')
}

function licenseOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? `${license}\n` : readFileSync(join(folder, file), 'utf8')
  return `${name} ${version}\n\n${text}`
}
