/// <reference types="node" preserve="true" />
/**
 * The public face: build images, and what belongs to them, from a program.
 * @packageDocumentation
 */
export { build } from './api/build.ts'
export { history, images, inspect, prune, remove, tag } from './api/images.ts'
export { call, type CallOptions, type CallOutput } from './api/check.ts'
export { info } from './api/info.ts'
export { lowerDockerfile, type BaseImage, type LowerDockerfileOptions, type LoweredDockerfile } from './api/lower.ts'
export { toLlb, type BuildDefinition } from './api/llb.ts'
export { findLogin, login, logout } from './api/login.ts'
export { openSession } from './api/session.ts'
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
export { createIgnoreMatcher, parseIgnoreFile } from './patterns/ignore.ts'
export { expandWord, parseDockerfile } from './frontends/dockerfile/index.ts'
