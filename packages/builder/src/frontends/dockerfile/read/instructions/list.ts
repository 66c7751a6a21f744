/** The keywords of the language: one file each, one line here. */
import type { Keyword } from '../ast.ts'
import type { InstructionSyntax } from '../syntax.ts'
import { addSyntax } from './add.ts'
import { argSyntax } from './arg.ts'
import { cmdSyntax } from './cmd.ts'
import { copySyntax } from './copy.ts'
import { entrypointSyntax } from './entrypoint.ts'
import { envSyntax } from './env.ts'
import { exposeSyntax } from './expose.ts'
import { fromSyntax } from './from.ts'
import { healthcheckSyntax } from './healthcheck.ts'
import { labelSyntax } from './label.ts'
import { maintainerSyntax } from './maintainer.ts'
import { onbuildSyntax } from './onbuild.ts'
import { runSyntax } from './run.ts'
import { shellSyntax } from './shell.ts'
import { stopsignalSyntax } from './stopsignal.ts'
import { userSyntax } from './user.ts'
import { volumeSyntax } from './volume.ts'
import { workdirSyntax } from './workdir.ts'

export const INSTRUCTIONS: { readonly [K in Keyword]: InstructionSyntax } = {
  add: addSyntax,
  arg: argSyntax,
  cmd: cmdSyntax,
  copy: copySyntax,
  entrypoint: entrypointSyntax,
  env: envSyntax,
  expose: exposeSyntax,
  from: fromSyntax,
  healthcheck: healthcheckSyntax,
  label: labelSyntax,
  maintainer: maintainerSyntax,
  onbuild: onbuildSyntax,
  run: runSyntax,
  shell: shellSyntax,
  stopsignal: stopsignalSyntax,
  user: userSyntax,
  volume: volumeSyntax,
  workdir: workdirSyntax,
}
