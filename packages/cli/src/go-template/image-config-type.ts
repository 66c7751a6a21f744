import { boolType, type GoType, mapType, sliceType, stringType, structType } from './types.ts'

const texts = sliceType(stringType)
const nothing = structType('struct {}', {})

/** How an image runs, as the OCI specification's own type has it. */
export const imageConfigType: GoType = structType('v1.ImageConfig', {
  User: stringType,
  ExposedPorts: mapType(nothing),
  Env: texts,
  Entrypoint: texts,
  Cmd: texts,
  Volumes: mapType(nothing),
  WorkingDir: stringType,
  Labels: mapType(stringType),
  StopSignal: stringType,
  ArgsEscaped: boolType,
})
