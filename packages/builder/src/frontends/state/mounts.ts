import type { State, StateMount, Text } from './types.ts'
import { literal } from './text.ts'

/** Who owns a directory, a file or a socket that is mounted; the mode is permission bits. */
export interface MountOwner {
  readonly uid?: number
  readonly gid?: number
  readonly mode?: number
}

/** A directory that steps of later builds see again. `from` says with what it begins. */
export function cache(
  target: Text,
  options: MountOwner & {
    readonly id?: Text
    readonly sharing?: 'shared' | 'private' | 'locked'
    readonly from?: State
    readonly source?: Text
    readonly readonly?: boolean
  } = {},
): StateMount {
  const { id, sharing, from, source, readonly } = options
  return mount('cache', { id, target, sharing, source, readonly, ...owned(options) }, from)
}

/** A secret file (or environment variable, with `env`) for a step; never part of a layer or a key. */
export function secret(
  id: Text,
  options: MountOwner & { readonly target?: Text; readonly env?: Text; readonly required?: boolean } = {},
): StateMount {
  const { target, env, required } = options
  return mount('secret', { id, target, env, required, ...owned(options) })
}

/** The socket of an SSH agent that the build was given, for a step. */
export function ssh(
  options: MountOwner & { readonly id?: Text; readonly target?: Text; readonly required?: boolean } = {},
): StateMount {
  const { id, target, required } = options
  return mount('ssh', { id, target, required, ...owned(options) })
}

/** An empty directory in memory, for a step. */
export function tmpfs(target: Text, options: { readonly sizeBytes?: number } = {}): StateMount {
  return mount('tmpfs', { target, size: options.sizeBytes })
}

/** Another state, read-only unless said otherwise; what is written there is thrown away. */
export function bind(
  from: State,
  target: Text,
  options: { readonly source?: Text; readonly readonly?: boolean } = {},
): StateMount {
  return mount('bind', { target, source: options.source, readonly: options.readonly }, from)
}

function mount(type: StateMount['type'], fields: StateMount['fields'], from?: State): StateMount {
  return { type, fields, ...(from === undefined ? {} : { from }) }
}

function owned({ uid, gid, mode }: MountOwner): StateMount['fields'] {
  return { uid, gid, mode: mode?.toString(8) }
}

/** The value of `--mount`; `nameOf` says what the state is called that it shows. */
export function mountSpec({ type, fields, from }: StateMount, nameOf: (state: State) => string): string {
  const parts = [`type=${type}`, ...(from === undefined ? [] : [`from=${nameOf(from)}`])]
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    parts.push(`${key}=${literal(typeof value === 'object' ? value : String(value))}`)
  }
  return parts.map(quoteField).join(',')
}

/** A field of CSV (RFC 4180). */
function quoteField(field: string): string {
  return /[",\r\n]|^\s/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}
