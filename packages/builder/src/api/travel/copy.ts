import { BuilderError } from '../../base/errors.ts'
import type { ProgressSink } from '../../base/progress.ts'
import { internalStep } from '../../build/internal-step.ts'
import { platformOption } from '../../build/platform-option.ts'
import type { CommonOptions, RegistryOptions } from '../../build/public-types.ts'
import { withTransportContext } from '../../build/transport-context.ts'
import type { Digest } from '../../oci/digest.ts'
import { gather, platformSelection, type Selection } from '../../transports/bundle.ts'
import { convert, unmixing, type Conversion } from '../../transports/convert.ts'
import { loadTransport, parsePlace, type Place } from '../../transports/place.ts'
import type { Bundle, PlaceOptions, Transport, TransportTarget } from '../../transports/types.ts'

export interface CopyOptions extends CommonOptions, RegistryOptions {
  /** Of an index: the image for `platform` alone (`system`, the default), all with their index, or the index alone. */
  readonly multiArch?: 'system' | 'all' | 'index-only' | undefined
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string | undefined
  /** Media types; default: as they are. */
  readonly format?: 'oci' | 'v2s2' | undefined
  /** Layers that are compressed in another way are compressed anew, or not at all (`none`). */
  readonly compression?: 'gzip' | 'zstd' | 'none' | undefined
  readonly compressionLevel?: number | undefined
  /** An error where a digest would change. */
  readonly preserveDigests?: boolean | undefined
  readonly from?: CopyPlaceOptions | undefined
  readonly to?: CopyPlaceOptions | undefined
}

/** How one of the two places is reached; what it leaves out is said by the call. */
export interface CopyPlaceOptions {
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  readonly authFile?: string | undefined
  /** Its registry is asked without credentials. */
  readonly isAnonymous?: boolean | undefined
  /** False: its registry may be spoken to over plain HTTP or with a certificate that does not verify. */
  readonly tlsVerify?: boolean | undefined
  /** Of `docker-daemon:`, URL of the engine. */
  readonly daemonHost?: string | undefined
}

export interface CopyOutcome {
  /** Of what was written: a manifest, or an index. */
  readonly digest: Digest
  /** Bytes of that document. */
  readonly sizeBytes: number
}

/** See `api/copy.ts`, which loads this when it is called. */
export async function copy(source: string, destination: string, options: CopyOptions = {}): Promise<CopyOutcome> {
  const sink: ProgressSink = options.onProgress ?? (() => undefined)
  const from = parsePlace(source)
  const to = parsePlace(destination)
  return internalStep(sink, `copying ${source} to ${destination}`, (report) =>
    withTransportContext(
      options,
      (id, progress) => report(id, id, progress),
      async (context) => {
        const [reader, writer] = await Promise.all([loadTransport(from), loadTransport(to)])
        const target = await openTarget(writer, to, placeOptions(options.to), context)
        const opened = await openSource(reader, from, placeOptions(options.from), context)
        await using _ = opened
        const bundle = await gather(opened.images[0]!, selectionOf(options), context.signal)
        if (bundle.children.length > 0 && !target.takesIndex)
          throw new BuilderError('OCI_OPTION_UNSUPPORTED', `${to.transport}: takes one image, and no index`, {
            hint: 'leave --all out, or copy to oci-archive: or docker://',
          })
        const conversion = conversionOf(options, target, bundle)
        const converted = await convert(bundle, conversion, context)
        checkDigest(options, bundle, converted)
        const [written] = await target.write([converted])
        return { digest: written!.digest, sizeBytes: written!.sizeBytes }
      },
    ),
  )
}

function openSource(
  transport: Transport,
  place: Place,
  ...rest: [PlaceOptions, Parameters<NonNullable<Transport['open']>>[2]]
) {
  return transport.open!(place.rest, ...rest)
}

function openTarget(
  transport: Transport,
  place: Place,
  ...rest: [PlaceOptions, Parameters<NonNullable<Transport['target']>>[2]]
): Promise<TransportTarget> {
  return transport.target!(place.rest, ...rest)
}

function placeOptions(given: CopyPlaceOptions = {}): PlaceOptions {
  const { credentials, authFile, isAnonymous, tlsVerify, daemonHost } = given
  return { credentials, authFile, isAnonymous, isTlsVerified: tlsVerify, daemonHost }
}

function selectionOf({ multiArch, platform }: CopyOptions): Selection {
  if (multiArch === 'all') return { kind: 'all' }
  if (multiArch === 'index-only') return { kind: 'index-only' }
  return platformSelection(platform === undefined ? undefined : platformOption(platform))
}

function conversionOf(options: CopyOptions, target: TransportTarget, bundle: Bundle): Conversion {
  const { wantsCompressed, wantsUniform } = target
  const { isMade } = bundle
  const { format, compression, compressionLevel: level } = options
  // A manifest that was made here is known nowhere: its layers may be compressed, as a push does it.
  const isPacked = compression === undefined && options.preserveDigests !== true && isMade && wantsCompressed
  return {
    ...(wantsUniform === true && options.preserveDigests !== true ? unmixing(bundle) : {}),
    format: format === 'v2s2' ? 'docker' : format,
    ...(compression === undefined ? {} : { compression: { kind: compression, level, of: 'all' } }),
    ...(isPacked ? { compression: { kind: 'gzip', of: 'plain' } } : {}),
  }
}

/** @throws OCI_OPTION_INVALID */
function checkDigest({ preserveDigests }: CopyOptions, before: Bundle, after: Bundle): void {
  if (preserveDigests !== true || before.root.descriptor.digest === after.root.descriptor.digest) return
  throw new BuilderError('OCI_OPTION_INVALID', 'the digest would change, and it is to be preserved', {
    hint: 'leave out --preserve-digests, or --format and --dest-compress-format',
    details: { before: before.root.descriptor.digest, after: after.root.descriptor.digest },
  })
}
