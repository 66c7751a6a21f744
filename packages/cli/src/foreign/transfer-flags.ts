import { isFalse, isTrue, leaveOut, password, type ForeignFlag } from './flag-row.ts'

const docker = 'docker, buildah and podman'
const signatures = 'signatures are not supported: pin images by digest'
const sign = 'sign what was pushed, with the tool that signs'
const encryption = 'encrypted images are not supported: skopeo copy encrypts and decrypts'
const asBuilt =
  'tsbuild -t NAME -o type=registry,compression=gzip|zstd CONTEXT builds and pushes with another compression'

/** Of commands that speak to a registry. */
const both: readonly ForeignFlag[] = [
  { name: 'creds', use: password },
  { name: 'disable-content-trust', tool: docker, isBoolean: true, done: isTrue, use: signatures },
  { name: 'remove-signatures', isBoolean: true, done: ['true', 'false'], use: leaveOut },
  { name: 'signature-policy', use: signatures },
  {
    name: 'tls-verify',
    isBoolean: true,
    done: isTrue,
    note: 'insecure',
    means: '`false`: as `--insecure-registry HOST` for the registry of the image',
  },
]

/** Of `pull` and `push` of Docker, buildah and podman. */
export const ofTransfers: Readonly<Record<'pull' | 'push', readonly ForeignFlag[]>> = {
  pull: [
    ...both,
    {
      name: 'all-tags',
      char: 'a',
      tool: docker,
      isBoolean: true,
      done: isFalse,
      use: 'skopeo list-tags docker://NAME lists them; tsbuild pull NAME:TAG fetches one',
    },
    { name: 'arch', as: ['--platform=linux/{}'] },
    { name: 'decryption-key', use: encryption },
    { name: 'os', done: ['linux'], use: '--platform OS/ARCH' },
    {
      name: 'policy',
      done: ['always', 'newer'],
      use: 'leave it out: pull asks the registry; the policy of build: --pull',
    },
    { name: 'variant', use: '--platform OS/ARCH/VARIANT' },
  ],
  push: [
    ...both,
    { name: 'add-compression', use: asBuilt },
    { name: 'all', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'compression-format', done: ['gzip'], use: asBuilt },
    { name: 'compression-level', use: asBuilt },
    { name: 'compress', isBoolean: true, done: ['true', 'false'], use: leaveOut },
    { name: 'disable-compression', char: 'D', isBoolean: true, done: isFalse, use: asBuilt },
    { name: 'encrypt-layer', use: encryption },
    { name: 'encryption-key', use: encryption },
    { name: 'force-compression', isBoolean: true, done: isFalse, use: asBuilt },
    {
      name: 'format',
      char: 'f',
      done: ['oci'],
      use: "Docker's media types: build with -o type=registry,oci-mediatypes=false",
    },
    { name: 'rm', isBoolean: true, done: isFalse, use: 'tsbuild rmi NAME, when it is pushed' },
    { name: 'sign-by', use: sign },
    { name: 'sign-by-sq-fingerprint', use: sign },
    { name: 'sign-by-sigstore', use: sign },
    { name: 'sign-by-sigstore-private-key', use: sign },
    { name: 'sign-passphrase-file', use: sign },
  ],
}
