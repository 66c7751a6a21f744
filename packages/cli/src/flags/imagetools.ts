import { defineSpec } from '../flag-types.ts'
import { format, progress, registry, store } from './shared.ts'

export const imagetoolsCreate = defineSpec({
  name: 'imagetools create',
  summary: 'join images of registries into an index',
  description:
    'SOURCE is a name, a digest in the one repository that is named, or a descriptor as JSON. What the repositories of the new names lack is mounted or carried over.',
  examples: [
    'tsbuild imagetools create -t registry.example.com/my-app:1 registry.example.com/my-app:amd64 registry.example.com/my-app:arm64',
    'tsbuild imagetools create --append -t registry.example.com/my-app:1 registry.example.com/my-app:riscv64',
  ],
  args: [{ name: 'SOURCE', summary: 'image in a registry', required: false, repeated: true }],
  flags: [
    { name: 'tag', char: 't', kind: 'texts', value: 'NAME', summary: 'name of the index' },
    { name: 'append', kind: 'boolean', summary: 'add to what the first name leads to' },
    { name: 'dry-run', kind: 'boolean', summary: 'print the index, send nothing' },
    { name: 'file', char: 'f', kind: 'texts', value: 'FILE', summary: 'a source from a file: before the others' },
    {
      name: 'annotation',
      kind: 'texts',
      value: 'KEY=VALUE',
      summary: 'index:KEY=VALUE, manifest-descriptor:KEY=VALUE',
    },
    { name: 'platform', char: 'p', kind: 'texts', value: 'OS/ARCH', summary: 'only these platforms of the sources' },
    {
      name: 'prefer-index',
      kind: 'boolean',
      default: true,
      summary: 'of a single image an index, too; the default, --prefer-index=false for a copy of it',
    },
    { name: 'metadata-file', kind: 'text', value: 'FILE', summary: 'write digest, descriptor and names to a file' },
    { name: 'builder', kind: 'text', value: 'NAME', summary: 'accepted without effect: there is one builder' },
    { name: 'debug', char: 'D', kind: 'boolean', summary: 'accepted without effect: errors tell all they know anyway' },
    progress,
    ...registry,
    store,
  ],
})

export const imagetoolsInspect = defineSpec({
  name: 'imagetools inspect',
  summary: 'show what a registry has under a name',
  args: [{ name: 'NAME', summary: 'image in a registry', required: true }],
  flags: [
    { ...format, summary: 'Go template over .Name, .Manifest and .Image' },
    { name: 'raw', kind: 'boolean', summary: 'print the document as it is, byte for byte' },
    { name: 'builder', kind: 'text', value: 'NAME', summary: 'accepted without effect: there is one builder' },
    { name: 'debug', char: 'D', kind: 'boolean', summary: 'accepted without effect: errors tell all they know anyway' },
    ...registry,
    store,
  ],
})
