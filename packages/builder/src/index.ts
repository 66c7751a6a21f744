/**
 * The public face: build images, and what belongs to them, from a program.
 * @packageDocumentation
 */
export { build } from './build.ts'
export { history, images, inspect, prune, remove, tag } from './images.ts'
export { call, type CallOptions, type CallOutput } from './call.ts'
export { info } from './info.ts'
export { toLlb, type BuildDefinition } from './llb.ts'
export { pull, push } from './images-transfer.ts'
export { bind, cache, image, local, scratch, secret, tmpfs, type State } from './graph/state.ts'
export { BuilderError, isTsOciError, TsOciError, type BuilderErrorCode } from './errors.ts'
export type * from './public-types.ts'
export type * from './progress.ts'
export { debugExpand, debugIgnore, debugParse } from './frontends/dockerfile/debug.ts'
export { guardSignals } from '@ts-oci/runtime'
export { createIgnoreMatcher, parseIgnoreFile } from './context/ignore.ts'
export { expandWord, parseDockerfile } from './frontends/dockerfile/index.ts'
