import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CommandOptions, type CommandResult, runTool, type TemporaryDirectory } from '@ts-oci/testing'

/** The compiled command, as a user starts it. */
export const tsbuildPath: string = fileURLToPath(new URL('../bin/run.js', import.meta.url))

/** The environment of a test: a store of its own, and nothing of the developer's. */
export function environmentOf(directory: TemporaryDirectory): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: directory.path, TSBUILD_HOME: directory.join('store'), LANG: 'C.UTF-8' }
}

export function tsbuild(
  directory: TemporaryDirectory,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const env = { ...environmentOf(directory), ...options.env }
  return runTool(process.execPath, [tsbuildPath, ...args], { cwd: directory.path, ...options, env })
}

/** Writes files below `context/`; returns its path. */
export async function writeContext(
  directory: TemporaryDirectory,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    const path = directory.join('context', name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }
  return directory.join('context')
}
