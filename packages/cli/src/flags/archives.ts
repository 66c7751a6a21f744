import { defineSpec } from '../flag-types.ts'
import { progress, quiet, registry, store } from './shared.ts'

/** Commands whose images come from files and places, and go there. */

export const save = defineSpec({
  name: 'save',
  summary: 'write images of the store as one archive',
  examples: [
    'tsbuild save -o images.tar my-app other:2',
    'tsbuild save my-app | ssh host docker load',
    'tsbuild save --format oci-dir -o layout my-app',
  ],
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true, repeated: true }],
  flags: [
    { name: 'output', char: 'o', kind: 'text', value: 'FILE', summary: 'file or directory; default standard output' },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      options: ['docker-archive', 'oci-archive', 'oci-dir', 'docker-dir'],
      summary:
        "docker-archive (the default: what docker load reads, and an OCI layout at once), oci-archive, oci-dir, docker-dir (skopeo's dir:)",
    },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: 'of several images that one; default all of them' },
    { ...quiet, summary: 'show no progress' },
    progress,
    ...registry,
    store,
  ],
})

export const load = defineSpec({
  name: 'load',
  summary: 'take the images of an archive into the store',
  description:
    'What docker save, podman save, skopeo, crane and others write: archives of Docker and of OCI, plain or compressed (gzip, zstd, xz, bzip2), directories with the same files.',
  examples: ['tsbuild load -i images.tar', 'docker save my-app | tsbuild load'],
  args: [],
  flags: [
    { name: 'input', char: 'i', kind: 'text', value: 'FILE', summary: 'file or directory; default standard input' },
    { ...quiet, summary: 'show no progress' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: 'of several images that one; default all of them' },
    progress,
    store,
  ],
})

export const importImage = defineSpec({
  name: 'import',
  summary: 'make an image of the files of a tar',
  examples: [
    'tsbuild import rootfs.tar.gz my-base:1',
    'tar -C rootfs -c . | tsbuild import -c \'CMD ["sh"]\' -c "ENV LANG=C.UTF-8" - my-base',
  ],
  args: [
    { name: 'FILE|URL|-', summary: 'a tar, plain or compressed; - for standard input', required: true },
    { name: 'NAME[:TAG]', summary: 'name of the image', required: false },
  ],
  flags: [
    {
      name: 'change',
      char: 'c',
      kind: 'texts',
      value: 'INSTRUCTION',
      summary:
        'CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR of a Dockerfile',
    },
    { name: 'message', char: 'm', kind: 'text', value: 'TEXT', summary: 'what the history says of it' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: "platform of the image; default the machine's" },
    store,
  ],
})

export const exportImage = defineSpec({
  name: 'export',
  summary: 'write the files of an image as a tar',
  description:
    'The merged file system of its layers: what a layer deletes is not in it. There are no containers yet; an image stands where docker export has one.',
  examples: ['tsbuild export -o rootfs.tar my-app', 'tsbuild export my-app | tar -t'],
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true }],
  flags: [
    { name: 'output', char: 'o', kind: 'text', value: 'FILE', summary: 'file; default standard output' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: "of several images that one; default the machine's" },
    store,
  ],
})

const noEncryption = {
  message: 'encrypted images are not supported',
  hint: 'skopeo copy encrypts and decrypts',
} as const
const noSignatures = {
  message: 'signatures are not supported',
  hint: 'sign what was pushed, with the tool that signs',
} as const

export const copy = defineSpec({
  name: 'copy',
  summary: 'copy an image from one place to another',
  description:
    'Places are written as skopeo writes them: docker://NAME (a registry), store:NAME, oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], dir:DIRECTORY, docker-daemon:NAME, containers-storage:NAME.',
  examples: [
    'tsbuild copy --all docker://debian:12 docker://registry.example.com/mirror/debian:12',
    'tsbuild copy store:my-app docker-daemon:my-app:latest',
    'tsbuild copy docker://busybox oci-archive:busybox.tar',
  ],
  args: [
    { name: 'SOURCE', summary: 'TRANSPORT:REST', required: true },
    { name: 'TARGET', summary: 'TRANSPORT:REST', required: true },
  ],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'all images of an index, and the index' },
    {
      name: 'multi-arch',
      kind: 'text',
      value: 'WHICH',
      options: ['system', 'all', 'index-only'],
      summary: 'of an index: system (the default: the image for the platform alone), all, index-only',
    },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: "of an index that image; default the machine's" },
    { name: 'override-os', kind: 'text', value: 'OS', summary: 'the same in parts' },
    { name: 'override-arch', kind: 'text', value: 'ARCH', summary: 'the same in parts' },
    { name: 'override-variant', kind: 'text', value: 'VARIANT', summary: 'the same in parts' },
    { name: 'preserve-digests', kind: 'boolean', summary: 'an error where the digest would change' },
    {
      name: 'format',
      char: 'f',
      kind: 'text',
      value: 'FORMAT',
      options: ['oci', 'v2s2'],
      summary: "media types: oci or v2s2 (Docker's); default as they are",
    },
    {
      name: 'dest-compress-format',
      kind: 'text',
      value: 'FORMAT',
      options: ['gzip', 'zstd'],
      summary: 'layers that are compressed otherwise are compressed anew: gzip or zstd',
    },
    { name: 'dest-compress-level', kind: 'text', value: 'N', summary: '0 to 9 for gzip, 1 to 22 for zstd' },
    { name: 'dest-compress', kind: 'boolean', summary: 'as --dest-compress-format gzip' },
    { name: 'dest-decompress', kind: 'boolean', summary: 'layers are not compressed' },
    {
      name: 'src-creds',
      kind: 'text',
      value: 'USER:PASSWORD',
      summary: 'for the registry of the source; others on this machine can read a command line, --src-authfile not',
    },
    { name: 'dest-creds', kind: 'text', value: 'USER:PASSWORD', summary: 'for the registry of the target' },
    { name: 'src-no-creds', kind: 'boolean', summary: 'ask the registry of the source as nobody' },
    { name: 'dest-no-creds', kind: 'boolean', summary: 'ask the registry of the target as nobody' },
    { name: 'src-authfile', kind: 'text', value: 'FILE', summary: 'credentials for the source; default --authfile' },
    { name: 'dest-authfile', kind: 'text', value: 'FILE', summary: 'credentials for the target; default --authfile' },
    {
      name: 'src-tls-verify',
      kind: 'boolean',
      default: true,
      summary: '=false: as --insecure-registry for the source',
    },
    {
      name: 'dest-tls-verify',
      kind: 'boolean',
      default: true,
      summary: '=false: as --insecure-registry for the target',
    },
    {
      name: 'src-daemon-host',
      kind: 'text',
      value: 'URL',
      summary: 'engine of docker-daemon: unix:///PATH or tcp://HOST',
    },
    { name: 'dest-daemon-host', kind: 'text', value: 'URL', summary: 'the same of the target' },
    { name: 'digestfile', kind: 'text', value: 'FILE', summary: 'file that gets the digest of what was written' },
    { name: 'retry-times', kind: 'text', value: 'N', summary: 'as --retry' },
    { name: 'remove-signatures', kind: 'boolean', summary: 'accepted without effect: none are copied' },
    { name: 'encryption-key', kind: 'texts', value: 'KEY', refused: noEncryption },
    { name: 'encrypt-layer', kind: 'texts', value: 'LAYER', refused: noEncryption },
    { name: 'decryption-key', kind: 'texts', value: 'KEY', refused: noEncryption },
    { name: 'sign-by', kind: 'text', value: 'KEY', refused: noSignatures },
    { name: 'sign-by-sigstore', kind: 'text', value: 'FILE', refused: noSignatures },
    { name: 'sign-by-sigstore-private-key', kind: 'text', value: 'FILE', refused: noSignatures },
    { ...quiet, summary: 'show no progress' },
    progress,
    ...registry,
    store,
  ],
})
