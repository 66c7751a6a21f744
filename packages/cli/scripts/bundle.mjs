// Puts what `tsbuild build` loads into a few files under dist/bundle: Node reads and links some 300 modules one by one,
// and that alone took half of a build in which everything is cached. What a cached build does not need stays in chunks
// of its own, loaded on demand; oclif stays outside, it looks for its own files.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const cli = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const packages = resolve(cli, '..')
const target = join(cli, 'dist', 'bundle')
const making = `${target}.making`

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
  external: ['@oclif/core'],
  // Stack traces name the functions as they are written.
  minify: false,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  // Libraries in CommonJS ask for Node's modules this way.
  banner: { js: "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);" },
  plugins: [{ name: 'own-urls', setup: keepOwnUrls }],
})
writeFileSync(join(making, 'LICENSES.txt'), licenses())
rmSync(target, { recursive: true, force: true })
mkdirSync(dirname(target), { recursive: true })
renameSync(making, target)

/** A module that looks for files beside it finds them in its own package, not beside the bundle. */
function keepOwnUrls({ onLoad }) {
  onLoad({ filter: /\/packages\/[a-z]+\/dist\/.*\.js$/ }, ({ path }) => {
    const text = readFileSync(path, 'utf8')
    if (!text.includes('import.meta.url')) return undefined
    const [name, ...rest] = relative(packages, path).split('/')
    const file = rest.join('/')
    const own =
      name === 'cli'
        ? `new URL(${JSON.stringify(`../${rest.slice(1).join('/')}`)}, import.meta.url).href`
        : `new URL(${JSON.stringify(file)}, import.meta.resolve('@ts-oci/${name}/package.json')).href`
    return { contents: text.replaceAll('import.meta.url', own), loader: 'js' }
  })
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
