import { createDiffDriver } from './diff/driver.ts'
import type { OpsEnvironment } from './environment.ts'
import { createExecDriver } from './exec/driver.ts'
import { createFileDriver } from './file/driver.ts'
import { createGitDriver } from './git/driver.ts'
import { createHttpDriver } from './http/driver.ts'
import { createImageDriver } from './image/driver.ts'
import { createLocalDriver } from './local/driver.ts'
import { createMergeDriver } from './merge/driver.ts'
import type { OpDriver } from '../solver/types.ts'

/** The list of ops: a new one is a folder beside these and one line here. */
export function createDrivers(environment: OpsEnvironment): readonly OpDriver[] {
  return [
    createImageDriver(environment),
    createLocalDriver(environment),
    createGitDriver(environment),
    createHttpDriver(environment),
    createExecDriver(environment),
    createFileDriver(environment),
    createMergeDriver(environment),
    createDiffDriver(environment),
  ]
}
