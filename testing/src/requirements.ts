import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from '@jest/globals'

/** What a test can need of the machine: an executable by name, a device by its path, or the rights of root. */
export type Requirement = 'root' | (string & {})

/** The absolute path of an executable, also in the sbin folders that an ordinary user's PATH leaves out. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  return undefined
}

/**
 * A test that needs something of the machine. Where it is missing the test is skipped and its name says what is
 * missing; with CI=true it fails, unless the distribution has no package for the tool.
 */
export function testWith(
  requirements: readonly Requirement[],
  name: string,
  body: () => Promise<void> | void,
  timeoutMs?: number,
): void {
  const missing = missingOf(requirements)
  if (missing.length === 0) test(name, body, timeoutMs)
  else if (mayBeMissing(missing)) test.skip(skippedName(name, missing), body)
  else test(name, () => failFor(missing))
}

/** As `testWith`, for a group. */
export function describeWith(requirements: readonly Requirement[], name: string, body: () => void): void {
  const missing = missingOf(requirements)
  if (missing.length === 0) describe(name, body)
  else if (mayBeMissing(missing)) describe.skip(skippedName(name, missing), body)
  else describe(name, () => test('has what it needs', () => failFor(missing)))
}

function missingOf(requirements: readonly Requirement[]): Requirement[] {
  return requirements.filter((one) => {
    if (one === 'root') return process.getuid?.() !== 0
    return one.startsWith('/dev/') ? !isUsable(one) : findTool(one) === undefined
  })
}

function isUsable(device: string): boolean {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

function mayBeMissing(missing: readonly Requirement[]): boolean {
  if (process.env['CI'] !== 'true') return true
  const unavailable = (process.env['TS_OCI_TOOLS_UNAVAILABLE'] ?? '').split(',')
  // No package brings a device.
  return missing.every((one) => unavailable.includes(one) || one.startsWith('/dev/'))
}

function skippedName(name: string, missing: readonly Requirement[]): string {
  return `${name} [skipped, missing: ${missing.join(', ')}]`
}

function failFor(missing: readonly Requirement[]): never {
  throw new Error(`missing on this machine, and CI=true: ${missing.join(', ')} (npm test installs tools as root)`)
}
