import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process as /proc shows it. */
export interface ProcessEntry {
  readonly pid: number
  readonly parent: number
  /** Arguments, joined by spaces. */
  readonly command: string
}

/** Every process of the machine that can be seen; zombies are none. */
export function listProcesses(): ProcessEntry[] {
  return pids().flatMap((pid) => {
    const stat = readProc(pid, 'stat')
    // The name is in brackets and may hold anything: state and parent come after the last one.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (stat === '' || state === 'Z') return []
    return [{ pid, parent: Number(parent), command: readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() }]
  })
}

/** What a process started, and what those started, parents first. */
export function descendantsOf(pid: number): ProcessEntry[] {
  const all = listProcesses()
  const found: ProcessEntry[] = []
  const wanted = new Set([pid])
  for (let before = -1; before !== found.length;) {
    before = found.length
    for (const entry of all) {
      if (!wanted.has(entry.parent) || wanted.has(entry.pid)) continue
      wanted.add(entry.pid)
      found.push(entry)
    }
  }
  return found
}

/** Mounts of any mount namespace on the machine whose line in mountinfo holds `text`. */
export function mountsNaming(text: string): string[] {
  const seen = new Set<string>()
  return pids().flatMap((pid) => {
    const namespace = readLink(pid)
    if (namespace === undefined || seen.has(namespace)) return []
    seen.add(namespace)
    return readProc(pid, 'mountinfo')
      .split('\n')
      .filter((line) => line.includes(text))
  })
}

/** Waits until `isTrue`; throws with `describe` when it takes longer than `limitMs`. */
export async function until(
  isTrue: () => boolean,
  limitMs = 1000,
  describe: () => unknown = () => 'it did not come true',
): Promise<void> {
  const endMs = Date.now() + limitMs
  while (!isTrue()) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${JSON.stringify(describe())}`)
    await sleep(10)
  }
}

function pids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

function readLink(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return undefined
  }
}
