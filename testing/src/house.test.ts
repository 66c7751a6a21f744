import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const packages = fileURLToPath(new URL('../../packages', import.meta.url))

/** Level of each folder of the builder's `src`; imports go to the same folder or to a lower level. */
const builderLevels: Readonly<Record<string, number>> = {
  base: 0,
  oci: 1,
  patterns: 1,
  view: 2,
  graph: 2,
  tar: 3,
  store: 3,
  registry: 4,
  disk: 4,
  layers: 5,
  context: 5,
  ops: 6,
  cache: 7,
  solver: 8,
  image: 8,
  frontends: 9,
  exporters: 9,
  build: 10,
  api: 11,
}

/** Third-party library → where it may be imported, relative to `packages/`. */
const homes: Readonly<Record<string, readonly string[]>> = {
  '@bufbuild/protobuf': ['builder/src/graph/'],
  '@oclif/core': ['cli/'],
  'dockerfile-ast': ['builder/src/frontends/dockerfile/'],
  'lru-cache': ['builder/src/cache/', 'builder/src/store/'],
  'node:sqlite': ['builder/src/store/'],
  'p-queue': ['builder/src/solver/scheduler.ts'],
  'tar-stream': ['builder/src/tar/', 'builder/src/exporters/'],
  undici: ['builder/src/registry/', 'builder/src/ops/http/'],
}

interface Import {
  /** Relative to `packages/`. */
  readonly file: string
  readonly specifier: string
  readonly isTypeOnly: boolean
}

const imports = sourceFiles(packages).flatMap(importsOf)

describe('the house', () => {
  test('imports between the folders of the builder go down only', () => {
    const upward = imports.filter(isUpward)
    expect(upward).toEqual([])
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
        relative(join(packages, file.split('/')[0] ?? ''), target(file, specifier)).startsWith('..')
      )
    })
    expect(wrong).toEqual([])
  })

  test('native code is loaded by one file', () => {
    const loaders = sourceFiles(packages).filter((file) => {
      return /\.node\b['"`]|process\.dlopen/.test(readFileSync(join(packages, file), 'utf8'))
    })
    expect(loaders.filter((file) => file !== 'runtime/src/native.ts')).toEqual([])
  })

  test('names from images and contexts never reach node:fs', () => {
    const guarded = ['builder/src/disk/', 'builder/src/tar/', 'builder/src/view/', 'builder/src/context/']
    // It reads the layer's tar, a path of the store; what is in the tar goes through descriptors.
    const readsStore = ['builder/src/disk/extract.ts', 'builder/src/disk/job-weight.ts']
    const wrong = imports.filter(({ file, specifier }) => {
      return (
        /^(node:)?fs(\/promises)?$/.test(specifier) &&
        guarded.some((folder) => file.startsWith(folder)) &&
        !readsStore.includes(file)
      )
    })
    expect(wrong).toEqual([])
  })

  test('frontends and the fluent API see operations as data', () => {
    const wrong = imports.filter(({ file, specifier }) => {
      if (!/^builder\/src\/(frontends|graph|image)\//.test(file) || !specifier.startsWith('.')) return false
      const path = relative(join(packages, 'builder/src'), target(file, specifier))
      return path.startsWith('ops/')
    })
    expect(wrong).toEqual([])
  })
})

/** Tests and what only they import. */
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

function importsOf(file: string): Import[] {
  const text = readFileSync(join(packages, file), 'utf8').replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '')
  const patterns = [
    /^(?:import|export)(?<type>\s+type)?\b[^'"`;=]*?from\s+['"](?<path>[^'"]+)['"]/gm,
    /^import\s+['"](?<path>[^'"]+)['"]/gm,
    /\bimport\(\s*['"](?<path>[^'"]+)['"]/g,
  ]
  return patterns.flatMap((pattern) => {
    return [...text.matchAll(pattern)].map(({ groups }) => {
      return { file, specifier: groups?.['path'] ?? '', isTypeOnly: groups?.['type'] !== undefined }
    })
  })
}

function target(file: string, specifier: string): string {
  return resolve(packages, dirname(file), specifier)
}

/** A `types.ts` is a contract: whoever fulfils it from below may name its types, nothing of it exists at run time. */
function isUpward({ file, specifier, isTypeOnly }: Import): boolean {
  if (isTypeOnly && /\/([a-z]+-)?types\.ts$/.test(specifier)) return false
  if (!file.startsWith('builder/src/') || !specifier.startsWith('.')) return false
  const from = roomOf(file.slice('builder/src/'.length))
  const to = roomOf(relative(join(packages, 'builder/src'), target(file, specifier)))
  if (from === to) return false
  // Files of the top (the public face, the composition root) know everything, and nobody below knows them.
  const fromLevel = builderLevels[from] ?? Number.POSITIVE_INFINITY
  const toLevel = builderLevels[to] ?? Number.POSITIVE_INFINITY
  return toLevel > fromLevel || (toLevel === Number.POSITIVE_INFINITY && fromLevel !== toLevel)
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? path
}
