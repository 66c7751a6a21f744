/* oxlint-disable typescript/consistent-type-imports -- a member is one entry: its type is read where it is named */
/**
 * Every kind of output as plain data; what it does is loaded when one is asked for. A new one is a folder and an entry here:
 * `summary` is what a help text says of it, `writes` what it makes (an `archive`, alone of them, goes to standard output
 * unless `dest` says otherwise), `load` a module that exports an `exporter` (`Exporter` of `types.ts`).
 */
export const outputs = [
  {
    name: 'image',
    summary: 'in the store',
    writes: 'image',
    load: (): Promise<typeof import('./image/image.ts')> => import('./image/image.ts'),
  },
  {
    name: 'registry',
    summary: 'to its registry',
    writes: 'image',
    load: (): Promise<typeof import('./registry/registry.ts')> => import('./registry/registry.ts'),
  },
  {
    name: 'oci',
    summary: 'an image layout as a tar',
    writes: 'archive',
    load: (): Promise<typeof import('./oci/oci.ts')> => import('./oci/oci.ts'),
  },
  {
    name: 'docker',
    summary: 'into a local Docker or Podman; with dest a file that docker load reads',
    writes: 'archive',
    load: (): Promise<typeof import('./docker/docker.ts')> => import('./docker/docker.ts'),
  },
  {
    name: 'tar',
    summary: 'its files as a tar',
    writes: 'archive',
    load: (): Promise<typeof import('./tar/tar.ts')> => import('./tar/tar.ts'),
  },
  {
    name: 'local',
    summary: 'its files in a directory',
    writes: 'directory',
    load: (): Promise<typeof import('./local/local.ts')> => import('./local/local.ts'),
  },
  {
    name: 'cacheonly',
    summary: 'nothing',
    writes: 'nothing',
    load: (): Promise<typeof import('./cacheonly/cacheonly.ts')> => import('./cacheonly/cacheonly.ts'),
  },
] as const

/** Names of the outputs. */
export type OutputType = (typeof outputs)[number]['name']

type Loaded<Entry> = Entry extends { readonly load: () => Promise<{ readonly exporter: infer Member }> }
  ? Member
  : never
type AttributesOf<Member> = Member extends { readonly attributes?: infer Attributes } ? NonNullable<Attributes> : never

/** One `-o`: a type and its attributes, as on the command line. */
export type OutputSpec = {
  [Entry in (typeof outputs)[number] as Entry['name']]: { readonly type: Entry['name'] } & AttributesOf<Loaded<Entry>>
}[OutputType]
