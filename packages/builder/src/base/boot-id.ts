import { readFileSync } from 'node:fs'

let known: string | undefined

/** The kernel's boot id: changes with every start of the machine. What was not synced counts only until then. */
export function bootId(): string {
  known ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return known
}
