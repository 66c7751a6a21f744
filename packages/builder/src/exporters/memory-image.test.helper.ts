import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { PassThrough } from 'node:stream'
import type { ByteString } from '../base/byte-string.ts'
import type { Store } from '../store/types.ts'
import type { LoweredImage } from '../image/lowered.ts'
import { packLayer } from '../disk/pack.ts'
import type { LayerEntry } from '../view/types.ts'
import { createChainView } from '../view/view.ts'
import { digestOf, type DiffID, type Digest } from '../oci/digest.ts'
import { MediaType } from '../oci/media-types.ts'
import { prepareOutputs, type LooseOutput } from './prepare.ts'
import type {
  ExportContext,
  ExportDefaults,
  ExportResult,
  ExportImage,
  ProvidedLayer,
  PushRequest,
  WantedForm,
} from './types.ts'

/** A file, directory or link of a test layer. */
export function entry(path: ByteString, more: Partial<LayerEntry> & { readonly text?: string } = {}): LayerEntry {
  const { text, ...rest } = more
  const bytes = text === undefined ? undefined : Buffer.from(text)
  return {
    path,
    type: bytes === undefined ? 'directory' : 'file',
    mode: bytes === undefined ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: bytes?.length ?? 0,
    mtimeSec: 1_600_000_000,
    mtimeNsec: 0,
    ...(bytes === undefined ? {} : { content: { kind: 'inline', bytes } }),
    ...rest,
  }
}

/** An image of layers that are held in memory; what is asked of it is kept in `forms`. */
export interface TestImage extends ExportImage {
  readonly forms: WantedForm[]
}

/** `tars`: plain layer tars, bottom first; the first `baseCount` came with the base. */
export function testImage(options: {
  readonly layers: readonly (readonly LayerEntry[])[]
  readonly directory: string
  readonly baseCount?: number
}): TestImage {
  const tars = options.layers.map((entries, index) => packTestLayer(entries, `${options.directory}/layer-${index}.tar`))
  const blobs = new Map<Digest, Uint8Array>()
  const forms: WantedForm[] = []
  const view = createChainView(options.layers.map((entries) => ({ entries })))
  return {
    forms,
    image: testLowered(tars.length),
    layers: {
      count: tars.length,
      layer: (index) => ({
        id: `l-${index}`,
        createdMs: Date.UTC(2024, 0, 1, 0, 0, index),
        description: '',
        isBase: index < (options.baseCount ?? 0),
      }),
      async provide(index, form) {
        forms.push(form)
        const provided = compress(tars[index]!, form)
        blobs.set(provided.descriptor.digest, provided.bytes)
        return provided
      },
      async *open(digest) {
        const bytes = blobs.get(digest)!
        for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
      },
    },
    view: async () => view,
    async *readFile(wanted) {
      yield (wanted.content as { readonly bytes: Uint8Array }).bytes
    },
  }
}

function packTestLayer(entries: readonly LayerEntry[], path: string): Uint8Array {
  packLayer(entries, path)
  return process.getBuiltinModule('node:fs').readFileSync(path)
}

function testLowered(layerCount: number): LoweredImage {
  return {
    edge: undefined,
    platform: { os: 'linux', architecture: 'amd64' },
    config: { architecture: 'amd64', os: 'linux', config: { Cmd: ['/bin/true'], Env: ['A=<b>&c'] } },
    history: Array.from({ length: layerCount }, (_, index) => ({ created_by: `RUN ${index}` })),
    baseHistoryLength: 0,
    warnings: [],
  }
}

function compress(tar: Uint8Array, form: WantedForm): ProvidedLayer & { readonly bytes: Uint8Array } {
  const bytes = form.compression === 'gzip' ? gzipSync(tar) : form.compression === 'zstd' ? zstdCompressSync(tar) : tar
  const mediaType =
    form.compression === 'gzip'
      ? MediaType.ociLayerGzip
      : form.compression === 'zstd'
        ? MediaType.ociLayerZstd
        : MediaType.ociLayer
  return {
    diffId: digestOf(tar) as string as DiffID,
    descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
    repositories: [],
    isLocal: true,
    bytes,
  }
}

export interface TestContext extends ExportContext {
  readonly stdout: PassThrough
  readonly pushed: PushRequest[]
}

export function testContext(store?: Store): TestContext {
  const pushed: PushRequest[] = []
  return {
    store: store as Store,
    stdout: new PassThrough(),
    now: () => Date.UTC(2025, 4, 6, 7, 8, 9, 123),
    report: () => undefined,
    pushed,
    pushImage: async (request) => void pushed.push(request),
  }
}

export function testDefaults(workingDirectory: string, more: Partial<ExportDefaults> = {}): ExportDefaults {
  return { names: ['docker.io/library/my-app:1'], workingDirectory, isTerminal: false, ...more }
}

/** Two layers that hold every kind of entry; the first counts as the base. */
export const TEST_LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    entry('bin'),
    entry('bin/tool', { text: '#!/bin/sh\n', mode: 0o4755, mtimeSec: 1_500_000_000 }),
    entry('bin/twin', { type: 'hardlink', link: 'bin/tool' }),
    entry('etc', { mode: 0o750 }),
    entry('etc/empty', { text: '' }),
    entry('etc/link', { type: 'symlink', mode: 0o777, link: '../bin/tool' }),
    entry(Buffer.from('etc/näme').toString('latin1'), { text: 'ü', uid: 1000, gid: 2000 }),
  ],
  [entry('etc', { mode: 0o750 }), entry('etc/new', { text: 'new' }), entry('gone', { text: 'x' })],
]

/** As that of the testing package, which sources may not import. */
interface TemporaryDirectory {
  readonly path: string
  join(...names: string[]): string
}

export interface ExportFixture extends AsyncDisposable {
  readonly directory: TemporaryDirectory
  readonly image: TestImage
  /** Runs one output; relative paths start in `directory`. */
  exportTo(output: LooseOutput, options?: ExportToOptions): Promise<ExportResult>
}

export interface ExportToOptions {
  readonly context?: TestContext
  readonly defaults?: Partial<ExportDefaults>
  readonly from?: TestImage
}

/** A directory, an image and a way to export it. */
export async function exportFixture(): Promise<ExportFixture> {
  const path = mkdtempSync(join(tmpdir(), 'ts-oci-export-'))
  const directory = { path, join: (...names: string[]) => join(path, ...names) }
  const image = testImage({ layers: TEST_LAYERS, directory: directory.path, baseCount: 1 })
  return {
    directory,
    image,
    async exportTo(output, options = {}) {
      const [prepared] = await prepareOutputs([output], testDefaults(directory.path, options.defaults))
      return prepared!.run({ images: [options.from ?? image] }, options.context ?? testContext())
    },
    [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }),
  }
}
