import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const packages = fileURLToPath(new URL('../../packages', import.meta.url))
const architecture = fileURLToPath(new URL('../../docs/architecture.md', import.meta.url))

/**
 * The rooms of the builder's `src`, the lowest floor first. A file belongs to the room whose path is the longest that leads
 * to it, and imports what its own room has or what lies on a lower floor; rooms of one floor do not know each other.
 * The imports of types count: who names a contract depends on it. docs/architecture.md says what each room is for.
 */
const floors: readonly (readonly string[])[] = [
  ['base'],
  ['oci', 'patterns'],
  ['graph'],
  ['image'],
  // Frontends make graphs of text: whatever knows files, stores and how an op runs is above them.
  ['frontends/dockerfile/expand'],
  ['frontends/dockerfile/read'],
  // The contract of the family lies below its members, and names what they may be given.
  ['frontends/state/types.ts'],
  ['frontends/types.ts'],
  ['frontends/dockerfile/checks'],
  ['frontends/dockerfile/lower'],
  ['frontends/dockerfile/answers'],
  ['frontends/dockerfile'],
  ['frontends/state'],
  ['frontends'],
  ['view'],
  ['tar', 'store'],
  ['disk', 'registry', 'engine'],
  ['layers', 'context'],
  ['cache/buildkit'],
  ['cache', 'exporters'],
  // Where caches lie: layouts are written as outputs write them.
  ['cache/backends'],
  ['solver', 'transports'],
  ['ops'],
  ['build'],
  ['api'],
  ['index.ts', 'families.ts'],
]

/** Third-party library → where it may be imported, relative to `packages/`. */
const homes: Readonly<Record<string, readonly string[]>> = {
  '@bufbuild/protobuf': ['builder/src/graph/'],
  '@oclif/core': ['cli/'],
  'dockerfile-ast': ['builder/src/frontends/dockerfile/'],
  'lru-cache': ['builder/src/cache/', 'builder/src/store/'],
  'node:sqlite': ['builder/src/store/'],
  'p-queue': ['builder/src/solver/scheduler.ts'],
  'smol-toml': ['builder/src/registry/settings/'],
  'tar-stream': ['builder/src/tar/', 'builder/src/exporters/'],
  undici: ['builder/src/registry/', 'builder/src/ops/http/'],
  yaml: ['runtime/src/cdi/'],
}

interface Import {
  /** Relative to `packages/`. */
  readonly file: string
  readonly specifier: string
}

const files = sourceFiles(packages)
const imports = files.flatMap(importsOf)

describe('the house', () => {
  test('every file of the builder lies in a room', () => {
    const homeless = files.filter((file) => file.startsWith('builder/src/') && floorOf(file) === undefined)
    expect(homeless).toEqual([])
  })

  test('docs/architecture.md says what each room is for', () => {
    const [, map = ''] = readFileSync(architecture, 'utf8').split('## The rooms of the builder')
    const rows = map.split('\n## ')[0]!.matchAll(/^\| (`[^|]+) \|/gm)
    const named = [...rows].flatMap(([, names]) =>
      names!
        .trim()
        .split(', ')
        .map((name) => name.replace(/^`|\/?`$/g, '')),
    )
    expect(named.toSorted()).toEqual(floors.flat().toSorted())
  })

  test('the files that the docs name are there', () => {
    const root = join(packages, '..')
    const sources = ['packages', 'scripts', 'testing'].flatMap((folder) => {
      const paths = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      return paths.filter((path) => !/(^|\/)(node_modules|dist)\//.test(path)).map((path) => `/${folder}/${path}`)
    })
    const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
    const missing = docs.flatMap((name) => {
      const named = readFileSync(join(root, 'docs', name), 'utf8').matchAll(/`([\w./-]+\.(?:ts|c|h|mjs))(?=[`:])/g)
      return [...named]
        .filter(([, path]) => !sources.some((source) => source.endsWith(`/${path}`)))
        .map(([, path]) => `${name}: ${path}`)
    })
    expect(missing).toEqual([])
  })

  test('imports between the rooms of the builder go down only', () => {
    const upward = relations().filter(({ from, to }) => {
      if (!from.startsWith('builder/src/') || roomOf(from) === roomOf(to)) return false
      return (floorOf(to) ?? Infinity) >= (floorOf(from) ?? -1)
    })
    expect(upward).toEqual([])
  })

  test('no files import each other in a circle', () => {
    expect(circles(relations())).toEqual([])
  })

  test('no folders of a package import each other in a circle', () => {
    // A file on the top floor of a package is a room by itself.
    const folderOf = (file: string): string => file.split('/').slice(0, 3).join('/')
    const between = relations().map(({ from, to }) => ({ from: folderOf(from), to: folderOf(to) }))
    expect(circles(between.filter(({ from, to }) => from !== to))).toEqual([])
  })

  test('a third-party library is imported in its one place', () => {
    const strangers = imports.filter(({ file, specifier }) => {
      const library = Object.keys(homes).find((name) => specifier === name || specifier.startsWith(`${name}/`))
      if (library !== undefined) return !homes[library]?.some((home) => file.startsWith(home))
      return !/^(node:|\.|@ts-oci\/)/.test(specifier)
    })
    expect(strangers).toEqual([])
  })

  test('packages know only those below them', () => {
    const below: Readonly<Record<string, readonly string[]>> = {
      runtime: [],
      builder: ['@ts-oci/runtime', '@ts-oci/runtime/families'],
      cli: ['@ts-oci/builder', '@ts-oci/builder/families'],
    }
    const wrong = imports.filter(({ file, specifier }) => {
      const own = file.split('/')[0] ?? ''
      return specifier.startsWith('@ts-oci/') && !below[own]?.includes(specifier)
    })
    expect(wrong).toEqual([])
  })

  test('no file reaches into another package by a relative path', () => {
    const wrong = imports.filter(({ file, specifier }) => {
      return (
        specifier.startsWith('.') &&
        relative(join(packages, file.split('/')[0] ?? ''), join(packages, target(file, specifier))).startsWith('..')
      )
    })
    expect(wrong).toEqual([])
  })

  test('the public face of the builder is re-exports', () => {
    const text = withoutComments(readFileSync(join(packages, 'builder/src/index.ts'), 'utf8'))
    expect(text.replaceAll(/^export (?:type )?(?:\*|\{[^}]*\}) from '[^']+'$/gm, '').trim()).toBe('')
  })

  test('native code is loaded by one file', () => {
    const loaders = files.filter((file) => {
      return /\.node\b['"`]|process\.dlopen/.test(readFileSync(join(packages, file), 'utf8'))
    })
    expect(loaders.filter((file) => file !== 'runtime/src/native.ts')).toEqual([])
  })

  test('names from images and contexts never reach node:fs', () => {
    // The jobs of the executor's process are in `disk`.
    const guarded = ['disk', 'tar', 'view', 'context'].map((room) => `builder/src/${room}/`)
    const wrong = imports.filter(({ file, specifier }) => {
      return /^(node:)?fs(\/promises)?$/.test(specifier) && guarded.some((folder) => file.startsWith(folder))
    })
    expect(wrong).toEqual([])
  })

  test('what only tests need is named as theirs', () => {
    const wrong = imports.filter(({ specifier }) => /^(@jest\/globals|@ts-oci\/testing|fast-check)$/.test(specifier))
    expect(wrong).toEqual([])
    expect(files.filter((file) => /\.testing\.|\.support\.|(^|\/)test-/.test(file))).toEqual([])
  })

  test('no file is there for tests alone', () => {
    // Workers and children are named by their address, faces by the manifest of their package.
    const names = readdirSync(packages)
    const elsewhere = [
      ...names.map((name) => join(packages, name, 'package.json')),
      ...[join(packages, '..'), ...names.map((name) => join(packages, name))].flatMap(scriptsOf),
    ].map((path) => readFileSync(path, 'utf8'))
    const texts = new Map(files.map((file) => [file, readFileSync(join(packages, file), 'utf8')]))
    const unused = files.filter((file) => {
      if (file.endsWith('.d.ts')) return false
      const name = basename(file).replace(/\.[jt]s$/, '')
      const pattern = new RegExp(`(?<![\\w-])${name}\\.[jt]s\\b`)
      const isNamed = [...texts].some(([other, text]) => other !== file && pattern.test(text))
      return !isNamed && !elsewhere.some((text) => pattern.test(text))
    })
    expect(unused).toEqual([])
  })

  test('no test is compiled into what a package ships', () => {
    const shipped = readdirSync(packages).flatMap((name) => {
      const { exclude } = JSON.parse(readFileSync(join(packages, name, 'tsconfig.build.json'), 'utf8')) as {
        readonly exclude: readonly string[]
      }
      return exclude.includes('src/**/*.test.*') ? [] : [name]
    })
    expect(shipped).toEqual([])
  })
})

function scriptsOf(folder: string): string[] {
  const scripts = join(folder, 'scripts')
  if (!existsSync(scripts)) return []
  return readdirSync(scripts)
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => join(scripts, name))
}

/** Tests, and what only they import: `*.test.helper.ts`, and folders of such. */
function isForTests(path: string): boolean {
  return /\.test\.|\/testing\//.test(path)
}

/** Sources without tests and generated code, relative to `packages/`. */
function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(
      (path) =>
        /^[a-z]+\/(src|bin)\/.*\.[jt]s$/.test(path) && !isForTests(path) && !/\/gen\/|\/node_modules\//.test(path),
    )
    .toSorted()
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '')
}

/** Of values and of types, at the start and on demand. */
function importsOf(file: string): Import[] {
  const text = withoutComments(readFileSync(join(packages, file), 'utf8'))
  const patterns = [
    /^(?:import|export)\b[^'"`;=]*?from\s+['"](?<path>[^'"]+)['"]/gm,
    /^import\s+['"](?<path>[^'"]+)['"]/gm,
    /\bimport\(\s*['"](?<path>[^'"]+)['"]/g,
  ]
  return patterns.flatMap((pattern) => {
    return [...text.matchAll(pattern)].map(({ groups }) => ({ file, specifier: groups?.['path'] ?? '' }))
  })
}

/** The file that a relative import names, relative to `packages/`. */
function target(file: string, specifier: string): string {
  return relative(packages, resolve(packages, dirname(file), specifier))
}

interface Relation {
  readonly from: string
  readonly to: string
}

/** Which file of ours imports which. */
function relations(): Relation[] {
  return imports
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ file, specifier }) => ({ from: file, to: target(file, specifier) }))
}

function roomOf(file: string): string | undefined {
  const path = file.slice('builder/src/'.length)
  const rooms = floors.flat().filter((room) => path === room || path.startsWith(`${room}/`))
  return rooms.reduce<string | undefined>((best, room) => (room.length > (best?.length ?? 0) ? room : best), undefined)
}

function floorOf(file: string): number | undefined {
  const room = roomOf(file)
  const floor = floors.findIndex((rooms) => room !== undefined && rooms.includes(room))
  return floor < 0 ? undefined : floor
}

/** Sets of names that lead to each other (strongly connected components, by Tarjan), each sorted. */
function circles(edges: readonly Relation[]): string[][] {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const found: string[][] = []

  const visit = (name: string): void => {
    order.set(name, order.size)
    lowest.set(name, order.get(name)!)
    open.push(name)
    for (const other of next.get(name) ?? []) {
      if (!order.has(other)) visit(other)
      if (open.includes(other)) lowest.set(name, Math.min(lowest.get(name)!, lowest.get(other)!))
    }
    if (lowest.get(name) !== order.get(name)) return
    const circle = open.splice(open.indexOf(name))
    if (circle.length > 1) found.push(circle.toSorted())
  }

  for (const name of next.keys()) if (!order.has(name)) visit(name)
  return found
}
