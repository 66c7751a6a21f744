import type { HealthcheckInstruction } from '../../read/ast.ts'
import { checkMultipleInstructionsDisallowed } from '../../checks/multiple-instructions-disallowed.ts'
import { addHistory, healthcheckOf } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { formatDuration, formatList } from '../go-format.ts'

export const lowerHealthcheck: Lowering<HealthcheckInstruction> = ({ stage, epoch, linter }, instruction) => {
  checkMultipleInstructionsDisallowed(instruction.keyword, stage.seen.healthcheck, linter)
  stage.seen.healthcheck = instruction.location
  stage.image.config.healthcheck = healthcheckOf(instruction)
  addHistory(stage.image, `HEALTHCHECK ${describe(instruction)}`, false, epoch)
}

function describe(check: HealthcheckInstruction): string {
  const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = check
  const members = [
    `Test:${formatList(test)}`,
    `Interval:${formatDuration(intervalNs)}`,
    `Timeout:${formatDuration(timeoutNs)}`,
    `StartPeriod:${formatDuration(startPeriodNs)}`,
    `StartInterval:${formatDuration(startIntervalNs)}`,
    `Retries:${retries}`,
  ]
  return `{${members.join(' ')}}`
}
