import { password, storage, type ForeignFlag } from './flag-row.ts'

const inOnePlace = 'a layout keeps its blobs in it: copy to oci:DIRECTORY, and to that directory again'
const certificates = '--cert-dir DIR, or a folder certs.d/HOST for each registry'
const tokens = 'tsbuild login, or --src-authfile and --dest-authfile: a token on a command line is read by others'
const signatures = 'signatures are not supported: sign what was pushed, with the tool that signs'
const oneLevel =
  'layers are as they are in the store; tsbuild copy --dest-compress-format store:NAME TARGET changes them'

/** Of skopeo's `copy` and Podman's `save` and `import`. */
export const ofArchives: Readonly<Record<'copy' | 'save' | 'import', readonly ForeignFlag[]>> = {
  copy: [
    { name: 'additional-tag', use: 'tsbuild copy once more, to the other name: what is there is not sent again' },
    { name: 'dest-cert-dir', use: certificates },
    { name: 'src-cert-dir', use: certificates },
    {
      name: 'dest-force-compress-format',
      isBoolean: true,
      done: ['true', 'false'],
      use: '--dest-compress-format alone compresses all layers that have another compression',
    },
    { name: 'dest-oci-accept-uncompressed-layers', isBoolean: true, done: ['true', 'false'] },
    { name: 'dest-precompute-digests', isBoolean: true, done: ['true', 'false'] },
    { name: 'dest-password', use: password },
    { name: 'src-password', use: password },
    { name: 'dest-username', use: password },
    { name: 'src-username', use: password },
    { name: 'dest-registry-token', use: tokens },
    { name: 'src-registry-token', use: tokens },
    { name: 'dest-shared-blob-dir', use: inOnePlace },
    { name: 'src-shared-blob-dir', use: inOnePlace },
    { name: 'image-parallel-copies', use: 'leave it out: five blobs go at a time' },
    { name: 'sign-by-sq-fingerprint', use: signatures },
    { name: 'sign-identity', use: signatures },
    { name: 'sign-passphrase-file', use: signatures },
    { name: 'policy', use: signatures },
    { name: 'insecure-policy', isBoolean: true, done: ['true', 'false'] },
    { name: 'registries.d', use: signatures },
    { name: 'tmpdir', use: storage },
  ],
  save: [
    { name: 'multi-image-archive', char: 'm', isBoolean: true, done: ['true', 'false'] },
    { name: 'compress', isBoolean: true, done: ['false'], use: oneLevel },
    { name: 'uncompressed', isBoolean: true, done: ['false'], use: oneLevel },
  ],
  import: [
    { name: 'arch', as: ['--platform=linux/{}'] },
    { name: 'os', done: ['linux'], use: '--platform OS/ARCH' },
    { name: 'variant', use: '--platform OS/ARCH/VARIANT' },
    { name: 'quiet', char: 'q', isBoolean: true, done: ['true', 'false'] },
  ],
}
