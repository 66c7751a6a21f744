/** What each instruction does to its stage: one file each, one line here. */
import type { StageInstruction } from '../../read/ast.ts'
import { lowerAdd } from './add.ts'
import { lowerArg } from './arg.ts'
import { lowerCmd } from './cmd.ts'
import type { InstructionContext, Lowering } from '../context.ts'
import { lowerCopy } from './copy.ts'
import { lowerEntrypoint } from './entrypoint.ts'
import { lowerEnv } from './env.ts'
import { lowerExpose } from './expose.ts'
import { lowerHealthcheck } from './healthcheck.ts'
import { lowerLabel } from './label.ts'
import { lowerMaintainer } from './maintainer.ts'
import { lowerMkdir } from './mkdir.ts'
import { lowerOnbuild } from './onbuild.ts'
import { lowerRm } from './rm.ts'
import { lowerRun } from './run.ts'
import { lowerShell } from './shell.ts'
import { lowerStopsignal } from './stopsignal.ts'
import { lowerUser } from './user.ts'
import { lowerVolume } from './volume.ts'
import { lowerWorkdir } from './workdir.ts'

type Lowerings = { readonly [I in StageInstruction as I['kind']]: Lowering<I> }

const LOWERINGS: Lowerings = {
  add: lowerAdd,
  arg: lowerArg,
  cmd: lowerCmd,
  copy: lowerCopy,
  entrypoint: lowerEntrypoint,
  env: lowerEnv,
  expose: lowerExpose,
  healthcheck: lowerHealthcheck,
  label: lowerLabel,
  maintainer: lowerMaintainer,
  mkdir: lowerMkdir,
  onbuild: lowerOnbuild,
  rm: lowerRm,
  run: lowerRun,
  shell: lowerShell,
  stopsignal: lowerStopsignal,
  user: lowerUser,
  volume: lowerVolume,
  workdir: lowerWorkdir,
}

/** Applies an instruction to its stage. */
export function lowerInstruction(context: InstructionContext): void {
  const { instruction } = context.command
  const lower = LOWERINGS[instruction.kind] as Lowering
  lower(context, instruction)
}
