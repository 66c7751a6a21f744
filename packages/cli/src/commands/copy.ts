import { writeFile } from 'node:fs/promises'
import type { CopyOptions, CopyPlaceOptions } from '@ts-oci/builder'
import { numberFlag, registryOptions } from '../common-options.ts'
import { defineCommand } from '../define-command.ts'
import type { Input } from '../flag-types.ts'
import { copy } from '../flags.ts'
import { withProgress } from '../render/with-progress.ts'
import { UsageError } from '../usage-error.ts'

type Flags = Input<typeof copy>['flags']

export const CopyCommand = defineCommand(copy, async ({ args, flags }, io) => {
  const options = optionsOf(flags)
  const library = await import('@ts-oci/builder')
  const outcome = await withProgress(flags, 'Copying', io, (onProgress) =>
    library.copy(args[0] ?? '', args[1] ?? '', { ...options, onProgress, signal: io.signal }),
  )
  if (flags.digestfile !== undefined) await writeFile(flags.digestfile, outcome.digest)
  io.stdout.write(`${outcome.digest}\n`)
  return 0
})

/** @throws UsageError */
function optionsOf(flags: Flags): CopyOptions {
  return {
    store: flags.store,
    ...registryOptions({ ...flags, retry: flags.retry ?? flags['retry-times'] }),
    multiArch: multiArchOf(flags),
    platform: platformOf(flags),
    format: flags.format as CopyOptions['format'],
    preserveDigests: flags['preserve-digests'],
    compression: compressionOf(flags),
    compressionLevel: numberFlag('dest-compress-level', flags['dest-compress-level'], 0),
    from: placeOf(flags, 'src'),
    to: placeOf(flags, 'dest'),
  }
}

function multiArchOf(flags: Flags): CopyOptions['multiArch'] {
  const wanted = flags['multi-arch'] as CopyOptions['multiArch']
  if (!flags.all) return wanted
  if (wanted === undefined || wanted === 'all') return 'all'
  throw new UsageError(`--all and --multi-arch=${wanted} contradict each other`, { hint: 'give one of them' })
}

function platformOf(flags: Flags): string | undefined {
  const { platform } = flags
  const { 'override-os': os, 'override-arch': arch, 'override-variant': variant } = flags
  const parts = [os ?? 'linux', arch, variant]
  if (os === undefined && arch === undefined && variant === undefined) return platform
  if (platform !== undefined)
    throw new UsageError('--platform and --override-… say the same', { hint: 'give one of them' })
  if (arch === undefined && variant !== undefined)
    throw new UsageError('--override-variant needs --override-arch', { hint: '--platform OS/ARCH/VARIANT' })
  return arch === undefined ? os : parts.filter((part) => part !== undefined).join('/')
}

function compressionOf(flags: Flags): CopyOptions['compression'] {
  const format = flags['dest-compress-format'] as CopyOptions['compression']
  if (!flags['dest-decompress']) return format ?? (flags['dest-compress'] ? 'gzip' : undefined)
  if (format === undefined && !flags['dest-compress']) return 'none'
  throw new UsageError('--dest-decompress and --dest-compress contradict each other', { hint: 'give one of them' })
}

/** What was said of one of the two places. */
function placeOf(flags: Flags, side: 'src' | 'dest'): CopyPlaceOptions {
  const creds = flags[`${side}-creds`]
  const isNobody = flags[`${side}-no-creds`]
  if (creds !== undefined && isNobody)
    throw new UsageError(`--${side}-creds and --${side}-no-creds contradict each other`, { hint: 'give one of them' })
  return {
    authFile: flags[`${side}-authfile`],
    isAnonymous: isNobody,
    credentials: creds === undefined ? undefined : credentialsOf(creds, side),
    daemonHost: flags[`${side}-daemon-host`],
    ...(flags[`${side}-tls-verify`] ? {} : { tlsVerify: false }),
  }
}

/** The text may hold a password: it is in no message. */
function credentialsOf(text: string, side: string): CopyPlaceOptions['credentials'] {
  const at = text.indexOf(':')
  if (at > 0) return { username: text.slice(0, at), password: text.slice(at + 1) }
  throw new UsageError(`invalid argument for --${side}-creds: a password is missing`, {
    hint: `USER:PASSWORD, or log in and leave it out`,
  })
}
