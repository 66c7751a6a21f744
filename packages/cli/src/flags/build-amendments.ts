import type { FlagSpec } from '../flag-types.ts'

/** What a build changes in its Dockerfile and its image, as buildah's flags of these names do. Help lists them with --all alone. */
export const amendmentFlags = [
  { name: 'from', group: 'Compatibility', kind: 'text', value: 'IMAGE', summary: 'image of the first FROM' },
  {
    name: 'env',
    group: 'Compatibility',
    kind: 'texts',
    value: 'NAME[=VALUE]',
    summary: 'ENV behind every FROM; without =VALUE from the environment',
  },
  {
    name: 'mount',
    group: 'Compatibility',
    kind: 'texts',
    value: 'type=TYPE,target=PATH',
    summary: 'mount of every RUN, as its --mount',
  },
  {
    name: 'unsetenv',
    group: 'Compatibility',
    kind: 'texts',
    value: 'NAME',
    summary: 'variable that the image shall not have',
  },
  {
    name: 'unsetlabel',
    group: 'Compatibility',
    kind: 'texts',
    value: 'KEY',
    summary: 'label that the image shall not have',
  },
  {
    name: 'inherit-labels',
    group: 'Compatibility',
    kind: 'boolean',
    default: true,
    summary: '--inherit-labels=false: no labels of the base and of stages before',
  },
  {
    name: 'squash',
    group: 'Compatibility',
    kind: 'boolean',
    summary: 'one layer in place of those that the build makes, on those of the base',
  },
  { name: 'squash-all', group: 'Compatibility', kind: 'boolean', summary: 'one layer in place of all' },
  { name: 'omit-history', group: 'Compatibility', kind: 'boolean', summary: 'an image with an empty history' },
  {
    name: 'ignorefile',
    group: 'Compatibility',
    kind: 'text',
    value: 'FILE',
    summary: 'ignore file in place of .dockerignore',
  },
] as const satisfies readonly FlagSpec[]
