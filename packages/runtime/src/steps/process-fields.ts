import { posix } from 'node:path'
import { RuntimeError } from '../errors.ts'
import { fieldTags } from '../protocol.ts'
import type { FieldWriter } from '../protocol.ts'
import type { ProcessSpec } from './types.ts'

/** Writes the fields of a process. Throws OCI_RUNTIME_STEP_START when it has no command or a relative directory. */
export function processFields(fields: FieldWriter, process: ProcessSpec): void {
  if (process.args.length === 0 || process.args[0] === '')
    throw new RuntimeError('OCI_RUNTIME_STEP_START', 'a step without a command')
  if (!posix.isAbsolute(process.cwd))
    throw new RuntimeError('OCI_RUNTIME_STEP_START', `working directory ${process.cwd} is not absolute`)
  for (const arg of process.args) fields.string(fieldTags.arg, arg)
  for (const entry of process.env) fields.string(fieldTags.env, entry)
  fields.string(fieldTags.cwd, process.cwd)
  fields.u32(fieldTags.uid, process.user.uid)
  fields.u32(fieldTags.gid, process.user.gid)
  for (const gid of process.user.additionalGids) fields.u32(fieldTags.additionalGid, gid)
}
