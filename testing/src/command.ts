import { spawn } from 'node:child_process'
import { findTool } from './requirements.ts'

export interface CommandResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string | Uint8Array
  readonly signal?: AbortSignal
  /** After so long it is ended with all that it started, and that is an error. */
  readonly limitMs?: number
}

/** Runs a tool to its end and returns what it said; a status other than 0 is no error here. */
export function runTool(tool: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { cwd, env, input, signal, limitMs } = options
  return new Promise((resolve, reject) => {
    // Detached: it leads a process group, which can be ended as one.
    const detached = limitMs !== undefined
    const child = spawn(findTool(tool) ?? tool, args, { cwd, env, signal, detached, stdio: ['pipe', 'pipe', 'pipe'] })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const timer =
      limitMs &&
      setTimeout(() => {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
        const said = Buffer.concat([...stdout, ...stderr]).toString()
        reject(new Error(`${tool} ${args.join(' ')}: not done after ${limitMs} ms\n${said}`))
      }, limitMs)
    child.on('close', () => clearTimeout(timer))
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({
        status: code ?? 128,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
    // A tool that ends without reading its input closes the pipe: no error of the test.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

/** As `runTool`, but a status other than 0 throws with everything that the tool said; returns its standard output. */
export async function checkTool(tool: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await runTool(tool, args, options)
  if (result.status !== 0) {
    throw new Error(`${tool} ${args.join(' ')}: exit status ${result.status}\n${result.stdout}${result.stderr}`)
  }
  return result.stdout
}
