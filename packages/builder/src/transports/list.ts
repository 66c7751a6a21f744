/* oxlint-disable typescript/consistent-type-imports -- a member is one entry: its type is read where it is named */
/**
 * Every kind of place as plain data; what it does is loaded when one is asked for. A new one is a folder or a file and an entry
 * here: `name` is written before the colon, `rest` behind it, `load` a module that exports a `transport` (`Transport` of
 * `types.ts`).
 */
export const transports = [
  {
    name: 'docker',
    rest: '//NAME[:TAG]',
    summary: 'a registry',
    load: (): Promise<typeof import('./registry/registry.ts')> => import('./registry/registry.ts'),
  },
  {
    name: 'store',
    rest: 'NAME[:TAG]',
    summary: 'the store',
    load: (): Promise<typeof import('./store/store.ts')> => import('./store/store.ts'),
  },
  {
    name: 'oci',
    rest: 'DIRECTORY[:NAME]',
    summary: 'an OCI image layout',
    load: (): Promise<typeof import('./layout/layout.ts')> => import('./layout/layout.ts'),
  },
  {
    name: 'oci-archive',
    rest: 'FILE[:NAME]',
    summary: 'the same as a tar',
    load: (): Promise<typeof import('./archive/oci-archive.ts')> => import('./archive/oci-archive.ts'),
  },
  {
    name: 'docker-archive',
    rest: 'FILE[:NAME[:TAG]]',
    summary: 'what docker save writes and docker load reads',
    load: (): Promise<typeof import('./archive/docker-archive.ts')> => import('./archive/docker-archive.ts'),
  },
  {
    name: 'dir',
    rest: 'DIRECTORY',
    summary: 'manifest and blobs as files of one directory',
    load: (): Promise<typeof import('./directory/directory.ts')> => import('./directory/directory.ts'),
  },
  {
    name: 'docker-daemon',
    rest: 'NAME[:TAG]',
    summary: 'Docker, or Podman where it answers in its place',
    load: (): Promise<typeof import('./engine/docker-daemon.ts')> => import('./engine/docker-daemon.ts'),
  },
  {
    name: 'containers-storage',
    rest: 'NAME[:TAG]',
    summary: "Podman's and buildah's store, by one of podman, buildah and skopeo",
    load: (): Promise<typeof import('./engine/containers-storage.ts')> => import('./engine/containers-storage.ts'),
  },
] as const

/** Names of the transports. */
export type TransportName = (typeof transports)[number]['name']
