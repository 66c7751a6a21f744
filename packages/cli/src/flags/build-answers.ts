import type { FlagSpec } from '../flag-types.ts'

/** Files for scripts, as kaniko and buildah write them. Help lists them with --all alone. */
export const answerFlags = [
  {
    name: 'digest-file',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'write the digest of what was pushed or written to a file',
  },
  {
    name: 'image-name-with-digest-file',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'write NAME@DIGEST to a file, a line for each name',
  },
  {
    name: 'image-name-tag-with-digest-file',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'write NAME:TAG@DIGEST to a file, a line for each name',
  },
  {
    name: 'iidfile-raw',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'write the image id without its sha256: to a file',
  },
  {
    name: 'logfile',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'write the progress to a file instead of standard error',
  },
] as const satisfies readonly FlagSpec[]
