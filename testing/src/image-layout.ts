import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { checkTool } from './command.ts'
import { temporaryDirectory } from './temporary.ts'

/** Members of the image config that a test wants to set; spelled as in the OCI image specification. */
export interface ImageConfig {
  readonly Env?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly User?: string
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Volumes?: Readonly<Record<string, object>>
  readonly OnBuild?: readonly string[]
  readonly Shell?: readonly string[]
  readonly StopSignal?: string
}

export interface LayoutImage {
  readonly layers: readonly Uint8Array[]
  readonly config?: ImageConfig
  readonly tag?: string
  readonly architecture?: string
  readonly variant?: string
}

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const created = '2024-01-01T00:00:00Z'

/**
 * Writes an OCI image layout from plain layer tars, by hand from the OCI image specification and with no code of the
 * product: it is what the product is measured against. Returns the digest of the manifest.
 */
export async function writeImageLayout(directory: string, image: LayoutImage): Promise<string> {
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true })
  const layers = []
  for (const tar of image.layers) {
    layers.push(await writeBlob(directory, 'application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar, { level: 1 })))
  }
  const config = await writeJson(directory, 'application/vnd.oci.image.config.v1+json', {
    created,
    architecture: image.architecture ?? hostArchitecture(),
    ...(image.variant === undefined ? {} : { variant: image.variant }),
    os: 'linux',
    config: { Env: [defaultPath], ...image.config },
    rootfs: { type: 'layers', diff_ids: image.layers.map((tar) => digestOf(tar)) },
    history: image.layers.map((_, index) => ({ created, created_by: `layer ${index} of a test base` })),
  })
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = await writeJson(directory, mediaType, { schemaVersion: 2, mediaType, config, layers })
  const entry = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': image.tag ?? 'latest' } }
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
  return manifest.digest
}

/** A directory as a plain tar whose bytes depend on its content alone: names sorted, dates fixed, ids kept. */
export async function tarOfDirectory(directory: string, names: readonly string[] = ['.']): Promise<Uint8Array> {
  await using output = await temporaryDirectory()
  const file = output.join('layer.tar')
  const stable = ['--sort=name', '--mtime=@1704067200', '--numeric-owner', '--one-file-system', '--format=gnu']
  await checkTool('tar', ['-C', directory, ...stable, '-cf', file, ...names])
  return await readFile(file)
}

/** The machine's architecture in the words of the OCI image specification. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

function writeJson(directory: string, mediaType: string, value: object): Promise<Descriptor> {
  return writeBlob(directory, mediaType, Buffer.from(JSON.stringify(value)))
}

async function writeBlob(directory: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes)
  await writeFile(join(directory, 'blobs', 'sha256', digest.slice('sha256:'.length)), bytes)
  return { mediaType, digest, size: bytes.length }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
