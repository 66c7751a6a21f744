import { expect, test } from '@jest/globals'
import { specs } from '../flags.ts'
import { ofArchives } from './archive-flags.ts'

// `skopeo copy --help` of 1.22, `podman save|load|import --help` of 5.8.
const theirs = {
  copy: 'additional-tag all authfile decryption-key dest-authfile dest-cert-dir dest-compress dest-compress-format dest-compress-level dest-creds dest-daemon-host dest-decompress dest-force-compress-format dest-no-creds dest-oci-accept-uncompressed-layers dest-password dest-precompute-digests dest-registry-token dest-shared-blob-dir dest-tls-verify dest-username digestfile encrypt-layer encryption-key format image-parallel-copies multi-arch preserve-digests quiet remove-signatures retry-delay retry-times sign-by sign-by-sigstore sign-by-sigstore-private-key sign-by-sq-fingerprint sign-identity sign-passphrase-file src-authfile src-cert-dir src-creds src-daemon-host src-no-creds src-password src-registry-token src-shared-blob-dir src-tls-verify src-username',
  save: 'compress format multi-image-archive output quiet uncompressed',
  load: 'input quiet',
  import: 'arch change message os quiet variant',
}

test.each(Object.entries(theirs))('every flag of %s is ours, or has a row that says what to do', (command, flags) => {
  const own = specs.find(({ name }) => name === command)!.flags.map(({ name }) => name)
  const rows = (ofArchives[command as keyof typeof ofArchives] ?? []).map(({ name }) => name)
  expect(flags.split(' ').filter((flag) => !own.includes(flag) && !rows.includes(flag))).toEqual([])
  // A row for what is ours would never be read.
  expect(rows.filter((row) => own.includes(row))).toEqual([])
})
