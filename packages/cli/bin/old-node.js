// What happens on a Node that is too old: the command runs on a newer one where npm has installed one beside it, else a
// sentence says what to do. Plain JavaScript for every Node, loaded by no other.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Resolves to the exit status. */
export async function runOnNewerNode(script, args) {
  const binary = installedNode()
  const status = binary === undefined ? undefined : await run(binary, [script, ...args])
  if (status !== undefined) return status
  process.stderr.write(`ERROR: tsbuild needs Node.js 22.19 or newer, this is ${process.version}\n`)
  process.stderr.write(`  hint: install Node.js 24, or let npm bring one for this command alone: ${withNode()}\n`)
  return 1
}

function packageOfNode() {
  return `node-linux-${process.arch}`
}

function withNode() {
  return `npx -p ${packageOfNode()} -p @ts-oci/cli tsbuild`
}

function installedNode() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${packageOfNode()}/package.json`)), 'bin', 'node')
  } catch {
    return undefined
  }
}

/** Undefined where it does not start: it was made for glibc, and this is musl. */
function run(binary, words) {
  return new Promise((resolve) => {
    const running = []
    const pass = (signal) => running.forEach((child) => child.kill(signal))
    // Before it is there: a signal in between would end this process alone.
    process.on('SIGTERM', () => pass('SIGTERM'))
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT']) {
      // A terminal has told the child itself, and the second signal would end it at once.
      process.on(signal, () => isInForeground() || pass(signal))
    }
    const child = spawn(binary, words, { stdio: 'inherit' })
    running.push(child)
    child.on('error', () => resolve(undefined))
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)))
  })
}

/** proc(5): behind the name in parentheses state, parent, process group, session, terminal, its foreground group. */
function isInForeground() {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return fields[2] === fields[5]
}
