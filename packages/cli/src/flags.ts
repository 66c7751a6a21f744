import type { CommandSpec } from './flag-types.ts'
import { copy, exportImage, importImage, load, save } from './flags/archives.ts'
import { build } from './flags/build.ts'
import { buildxInspect, buildxLs } from './flags/buildx.ts'
import { cacheMountsExport, cacheMountsImport, cacheMountsLs, cacheMountsRm } from './flags/cache-mounts.ts'
import { debugExpand, debugIgnore, debugLlb, debugParse } from './flags/debug.ts'
import {
  manifestAdd,
  manifestAnnotate,
  manifestCreate,
  manifestExists,
  manifestInspect,
  manifestPush,
  manifestRemove,
  manifestRm,
} from './flags/manifest.ts'
import { imagetoolsCreate, imagetoolsInspect } from './flags/imagetools.ts'
import { history, images, inspect, pull, push, rmi, tag } from './flags/images.ts'
import { login, logout } from './flags/login.ts'
import { du, imagePrune, info, prune, search, storeCheck, systemDf, systemPrune } from './flags/store.ts'

export * from './flags/archives.ts'
export * from './flags/build.ts'
export * from './flags/buildx.ts'
export * from './flags/cache-mounts.ts'
export * from './flags/debug.ts'
export * from './flags/images.ts'
export * from './flags/imagetools.ts'
export * from './flags/login.ts'
export * from './flags/manifest.ts'
export * from './flags/store.ts'

const table = [
  build,
  images,
  history,
  inspect,
  tag,
  rmi,
  pull,
  push,
  login,
  logout,
  save,
  load,
  importImage,
  exportImage,
  copy,
  search,
  du,
  prune,
  cacheMountsLs,
  cacheMountsExport,
  cacheMountsImport,
  cacheMountsRm,
  imagePrune,
  systemDf,
  systemPrune,
  storeCheck,
  info,
  imagetoolsCreate,
  imagetoolsInspect,
  manifestCreate,
  manifestAdd,
  manifestAnnotate,
  manifestInspect,
  manifestPush,
  manifestRemove,
  manifestRm,
  manifestExists,
  buildxLs,
  buildxInspect,
  debugParse,
  debugExpand,
  debugIgnore,
  debugLlb,
] as const

/** Every command; the names that `tsbuild` knows. What it does is in `commands/list.ts`, by the same name. */
export const specs: readonly CommandSpec[] = table

export type CommandName = (typeof table)[number]['name']
