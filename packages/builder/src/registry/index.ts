export { createRegistryClient, tagOrDigestOf, type RegistryClient } from './client.ts'
export { type Repository, repositoryName } from './host.ts'
export type { Credential, RegistryClientOptions, RegistryTimeouts } from './options.ts'
export {
  pullLayer,
  pullManifest,
  type PulledImage,
  type PulledLayer,
  type PullLayerOptions,
  type PullManifestOptions,
} from './pull.ts'
export { pushImage, type PushedImage, type PushOptions, type PushProgress, type PushSource } from './push.ts'
