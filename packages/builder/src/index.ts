/// <reference types="node" preserve="true" />
/**
 * The public face: build images, and what belongs to them, from a program.
 * @packageDocumentation
 */
export { build } from './api/build.ts'
export { history, images, inspect, remove, tag } from './api/images.ts'
export { call, type CallOptions, type CallOutput } from './api/check.ts'
export { copy, type CopyOptions, type CopyOutcome, type CopyPlaceOptions } from './api/copy.ts'
export { exportFiles, type ExportOptions } from './api/export-files.ts'
export { importImage, type ImportOptions, type ImportOutcome } from './api/import-image.ts'
export { load, type LoadedImage, type LoadOptions } from './api/load.ts'
export { save, type SaveFormat, type SaveOptions, type SaveOutcome } from './api/save.ts'
export { info } from './api/info.ts'
export { lowerDockerfile, type BaseImage, type LowerDockerfileOptions, type LoweredDockerfile } from './api/lower.ts'
export { toLlb, type BuildDefinition } from './api/llb.ts'
export { findLogin, login, logout } from './api/login.ts'
export {
  cacheMounts,
  carriedCacheMounts,
  exportCacheMounts,
  importCacheMounts,
  removeCacheMounts,
} from './api/cache-mounts.ts'
export { checkStore } from './api/check-store.ts'
export { pruneImages } from './api/prune-images.ts'
export { diskUsage, prune } from './api/usage.ts'
export { openSession } from './api/session.ts'
export { builderNode } from './api/builder-node.ts'
export { inspectRemote } from './api/inspect-remote.ts'
export { joinImages } from './api/join-images.ts'
export {
  addToManifestList,
  annotateManifestList,
  createManifestList,
  pushManifestList,
  readManifestList,
  removeFromManifestList,
  removeManifestList,
} from './api/manifest-lists.ts'
export { readManifests } from './api/read-manifests.ts'
export { pull } from './api/pull.ts'
export { push } from './api/transfer.ts'
export { summarize } from './api/summarize.ts'
export { image, local, scratch } from './frontends/state/state.ts'
export { bind, cache, secret, ssh, tmpfs } from './frontends/state/mounts.ts'
export { expand } from './frontends/state/text.ts'
export type * from './frontends/state/types.ts'
export { BuilderError, isTsOciError, TsOciError, type BuilderErrorCode } from './base/errors.ts'
export type * from './build/public-types.ts'
export type * from './base/progress.ts'
export type { Edge, Vertex } from './graph/types.ts'
export { debugExpand, debugIgnore, debugParse } from './frontends/dockerfile/answers/debug.ts'
export { guardSignals } from '@ts-oci/runtime'
export { parseTimeBound } from './oci/time-bound.ts'
export { createIgnoreMatcher, parseIgnoreFile } from './patterns/ignore.ts'
export { expandWord, parseDockerfile } from './frontends/dockerfile/index.ts'
