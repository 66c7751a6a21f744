import { buildAction } from '../build/action.ts'
import { defineCommand } from '../define-command.ts'
import { build } from '../flags.ts'

export const BuildCommand = defineCommand(build, buildAction)
