// Puts what `tsbuild build` loads into a few files under dist/bundle: Node reads and links some 300 modules one by one,
// and that alone took half of a build in which everything is cached. What a cached build does not need stays in chunks
// of its own, loaded on demand.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'

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
  // What a folder of it holds is for rare commands and settings.
  registry: /^builder\/dist\/registry\/[^/]+$/,
  // Files of mirrors and certificates, where somebody wrote some.
  settings: /^builder\/dist\/registry\/settings\//,
  // A push whose layers are compressed already asks who compressed them, and no more.
  compression: /^builder\/dist\/tar\/compression\.js$/,
  // A step, a copy, a pull, a compression.
  work: /\/(?:executor|isolation|network|exec|disk|layers|tar|view)\/|\/apply\.js$/,
  rare: /./,
}
/** The groups that every build loads: they and all that they share become one file, main.js. */
const CORE = /^(?:main|build|builder|registry)(?:-[A-Z0-9]{8})?\.js$/
/** Functions of these wait for their first use: each module takes 1.5 to 5 ms to load. */
const LATER = new Set(
  ['child_process', 'crypto', 'fs/promises', 'readline', 'readline/promises', 'stream', 'zlib'].map(
    (name) => `node:${name}`,
  ),
)
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
  // Libraries in CommonJS ask for Node's modules this way, and for nothing else: all else is inside.
  banner: { js: 'const require=(id)=>process.getBuiltinModule(id);' },
  plugins: [
    { name: 'own-modules', setup: readOwnModules },
    { name: 'no-clock', setup: withoutClock },
  ],
})
await joinCore()
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

/** lru-cache asks whether there is a fine clock, for lifetimes that nobody sets: Node loads a module of 4 ms to answer. */
function withoutClock({ onLoad }) {
  onLoad({ filter: /\/node_modules\/lru-cache\/.*\.js$/ }, ({ path }) => ({
    contents: readFileSync(path, 'utf8').replaceAll(/\btypeof performance\b/g, '"undefined"'),
    loader: 'js',
  }))
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

/**
 * esbuild makes a chunk for every set of entries that share something, so that a cached build would read twenty files.
 * Those of the core become one; what the other chunks import of them gets a name of its own there.
 */
async function joinCore() {
  const chunks = new Map(Object.entries(metafile.outputs).map(([file, output]) => [basename(file), output]))
  const core = new Set([...chunks.keys()].filter((name) => CORE.test(name)))
  for (const name of core)
    for (const { path, kind } of chunks.get(name).imports)
      if (kind === 'import-statement' && chunks.has(basename(path))) core.add(basename(path))
  const prefixes = new Map([...core].map((name, index) => [name, name === 'main.js' ? '' : `core${index}_`]))
  const exported = [...core].map((name) => {
    const names = chunks.get(name).exports.map((symbol) => `${symbol} as ${prefixes.get(name)}${symbol}`)
    return `export { ${names.join(', ')} } from './${name}'`
  })
  const { outputFiles } = await build({
    stdin: { contents: exported.join('\n'), resolveDir: making },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22.19',
    legalComments: 'none',
    external: [...chunks.keys()].filter((name) => !core.has(name)).map((name) => `./${name}`),
    // An import on demand of what is in the same file.
    plugins: [{ name: 'core-on-demand', setup: leaveOnDemand }],
    write: false,
    logLevel: 'warning',
  })
  for (const name of core) rmSync(join(making, name))
  writeFileSync(join(making, 'main.js'), await withoutSpaces(builtinsAsAsked(intoCore(outputFiles[0].text))))
  for (const name of chunks.keys()) {
    if (core.has(name)) continue
    const file = join(making, name)
    writeFileSync(file, await withoutSpaces(builtinsAsAsked(intoCore(readFileSync(file, 'utf8')))))
  }

  function leaveOnDemand({ onResolve }) {
    onResolve({ filter: /^\.\// }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  }

  function intoCore(text) {
    return text
      .replaceAll(/^import \{([^}]*)\} from "\.\/([^"/]+)";/gm, (whole, symbols, name) => {
        if (!core.has(name)) return whole
        const list = symbols.split(',').map((symbol) => {
          const [outer, inner = outer] = symbol.trim().split(/\s+as\s+/)
          return `${prefixes.get(name)}${outer} as ${inner}`
        })
        return `import { ${list.join(', ')} } from "./main.js";`
      })
      .replaceAll(/^import "\.\/([^"/]+)";/gm, (whole, name) => (core.has(name) ? 'import "./main.js";' : whole))
      .replaceAll(/\bimport\("\.\/([^"/]+)"\)\.then\(\((\w+)\) => \2\.(member\d+)\)/g, (whole, name, group, member) =>
        core.has(name) ? `import("./main.js").then((${group}) => ${group}.${prefixes.get(name)}${member})` : whole,
      )
  }
}

/**
 * An import of a module of Node reads all its properties, and behind some of them are other modules that nobody here needs
 * (streams of node:fs, WebCrypto): taken this way only what is named is read.
 */
function builtinsAsAsked(text) {
  const taken = []
  const rest = text.replaceAll(/^import (?:(\w+)|\* as (\w+)|\{([^}]*)\}) from "((?:node:)?[\w/]+)";\n/gm, take)
  return `${taken.join('\n')}\n${rest}`

  function take(whole, byDefault, namespace, symbols, name) {
    if (!isBuiltin(name)) return whole
    const found = `process.getBuiltinModule(${JSON.stringify(name)})`
    // The same object, in a module that is loaded in any case.
    const constants = found.replace('node:fs/promises', 'node:fs')
    if (symbols === undefined) taken.push(`const ${byDefault ?? namespace} = ${found};`)
    else
      for (const symbol of symbols.split(',')) {
        const [outer, inner = outer] = symbol.trim().split(/\s+as\s+/)
        // Classes and constants have to be there at once.
        const isLater = LATER.has(name) && /^(?!constants$)[a-z]/.test(outer)
        const later = isLater ? `(...args) => ${found}.${outer}(...args)` : `${constants}.${outer}`
        taken.push(`const ${inner} = ${outer === 'default' ? found : later};`)
      }
    return ''
  }
}

/**
 * Node reads and hashes the text at each start, although the code comes from its cache: without spaces and comments, and in
 * ASCII alone (one character of another kind doubles what V8 holds), 4 ms less. Lines stay short, for stack traces.
 */
async function withoutSpaces(text) {
  const options = { minifyWhitespace: true, lineLimit: 120, charset: 'ascii', legalComments: 'none' }
  return (await transform(text, { ...options, format: 'esm', target: 'node22.19' })).code
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
