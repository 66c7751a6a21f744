import type { CdiRegistry, Executor } from '@ts-oci/runtime'
import type { Store } from '../store/types.ts'
import type { LayerFactory, LayerFiles, LayerReader, LayerTrees } from '../layers/types.ts'
import type { JobRunner } from '../disk/job-runner.ts'
import type { ImageConfig, Manifest, Platform } from '../oci/types.ts'
import type { Digest, DiffID } from '../oci/digest.ts'
import type { ArchiveCompression } from '../tar/decompress.ts'
import type { RunContext } from '../solver/types.ts'
import type { LocalResult } from '../context/types.ts'
import type { SshAgent } from './ssh-agent/types.ts'

/** What the drivers of one build share, put together by its composition; each driver takes what it uses of it, and no more. */
export interface OpsEnvironment {
  readonly store: Store
  readonly forms: LayerFactory & LayerReader & LayerTrees & Pick<LayerFiles, 'tar'>
  readonly jobs: JobRunner
  /** Started when the first step needs it. */
  readonly executor: () => Promise<Executor>
  readonly images: ImageResolver
  /** The build context called `name` (`local://name`). Opened once, walked when first read. */
  readonly openLocal: (name: string, attrs: Readonly<Record<string, string>>, run: RunContext) => Promise<LocalResult>
  /** Content of a secret; undefined when there is none of that id. */
  readonly secret: (id: string) => Promise<Uint8Array | undefined>
  /** What signs for an ssh id; undefined when none was lent under it. */
  readonly sshAgent: (id: string) => SshAgent | undefined
  /** Entitlements given: `network.host`, `security.insecure`. */
  readonly allowed: ReadonlySet<string>
  readonly devices: DeviceRights
  /** Cache mounts of caches from elsewhere; undefined: none is read. */
  readonly carriedMounts?: CarriedMounts | undefined
  readonly hostPlatform: Platform
  /** Aborted when the build is: what finds keys may have to ask a server. */
  readonly signal?: AbortSignal
  /** Milliseconds; the epoch that `SOURCE_DATE_EPOCH` set, else undefined. */
  readonly epochMs: number | undefined
}

/** Cache mounts that came with a cache from elsewhere. Asked by steps that run, and only for what is not here. */
export interface CarriedMounts {
  /** Nothing is fetched for it but the list. Never fails: what cannot be read is told, and is none. */
  find(id: string): Promise<CarriedMountFiles | undefined>
}

export interface CarriedMountFiles {
  /** Of the directory itself. */
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number }
  /** Fetches it, and has `unpack` make the directory. False where that failed, which is told. */
  bring(
    temporary: string,
    unpack: (tar: {
      readonly file: string
      readonly compression: ArchiveCompression
      readonly sizeBytes: number
      readonly diffId: DiffID
      readonly maxBytes: number
    }) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean>
}

/** Which devices steps may be given. */
export interface DeviceRights {
  /** Every device that is registered. */
  readonly all: boolean
  /** Names as steps may ask for them, and the name of the device where that is another one. */
  readonly names: ReadonlyMap<string, string | undefined>
  /** What this machine offers, read when it is first asked for. */
  readonly registry: () => Promise<CdiRegistry>
}

/** An image whose manifest and config are in the store. */
export interface ResolvedImage {
  /** `name:tag@sha256:…`. */
  readonly reference: string
  /** Digest that the reference names: of the index, or of the manifest where there is none. */
  readonly digest: Digest
  readonly manifestDigest: Digest
  readonly manifest: Manifest
  readonly config: ImageConfig
  /** A registry has it under `reference`; false for what was built here. */
  readonly isRemote: boolean
  /** True when nothing was asked of a registry for it. */
  readonly wasInStore: boolean
}

export interface ImageResolver {
  /** @throws OCI_IMAGE_NOT_FOUND, OCI_REGISTRY_… */
  resolve(reference: string, platform: Platform): Promise<ResolvedImage>
  /** An image of an OCI layout on this machine, brought into the store. */
  resolveLayout(
    reference: { readonly directory: string; readonly digest: Digest },
    platform: Platform,
  ): Promise<ResolvedImage>
}
