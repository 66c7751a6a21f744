/** `RUN --mount` and `--device`: comma separated fields, read by a table of keys. */
import type { CacheSharing, DeviceRequest, MountType, RunMount } from './ast.ts'
import { parseCsvFields } from './csv.ts'
import { Complaint, isComplaint } from '../expand/complaint.ts'
import { parseBoolean } from '../../../base/boolean.ts'
import { parseSize, parseUint32 } from './quantities.ts'
import { withSuggestion } from '../../../base/suggest.ts'
import { lowerCase, quote } from '../../../base/text.ts'

/** Expands the variables in a value. */
export type ExpandValue = (value: string) => string

interface MountDraft {
  type: MountType
  from: string
  source: string
  target: string
  readOnly: boolean
  /** Neither `ro` nor `rw` is written. */
  readOnlyByType: boolean
  sizeLimitBytes: number
  id: string
  sharing: CacheSharing | undefined
  required: boolean
  env: string | undefined
  mode: number | undefined
  uid: number | undefined
  gid: number | undefined
}

interface Field {
  /** The field as written. */
  readonly text: string
  /** Its key in lower case. */
  readonly key: string
  readonly value: string
}

type ReadKey = (draft: MountDraft, field: Field) => void

const MOUNT_TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh']
const SHARING_MODES: readonly CacheSharing[] = ['shared', 'private', 'locked']

const readSource: ReadKey = (draft, { value }) => void (draft.source = value)
const readTarget: ReadKey = (draft, { value }) => void (draft.target = value)
const readReadOnly: ReadKey = (draft, field) => setReadOnly(draft, readBoolean(field))
const readReadWrite: ReadKey = (draft, field) => setReadOnly(draft, !readBoolean(field))

/** Keys with a value, in the order in which a suggestion looks for them. */
const KEYS: Readonly<Record<string, ReadKey>> = {
  type: readType,
  from: (draft, { value }) => void (draft.from = value),
  source: readSource,
  target: readTarget,
  readonly: readReadOnly,
  id: (draft, { value }) => void (draft.id = value),
  sharing: readSharing,
  required: (draft, field) => {
    requireType(draft, field, 'secret', 'ssh')
    draft.required = readBoolean(field)
  },
  size: readSize,
  mode: (draft, field) => void (draft.mode = readNumber(field, 8)),
  uid: (draft, field) => void (draft.uid = readNumber(field, 10)),
  gid: (draft, field) => void (draft.gid = readNumber(field, 10)),
  src: readSource,
  dst: readTarget,
  destination: readTarget,
  ro: readReadOnly,
  rw: readReadWrite,
  readwrite: readReadWrite,
  env: (draft, { value }) => void (draft.env = value),
}

/** Keys that may stand alone. */
const LONE_KEYS: Readonly<Record<string, ReadKey>> = {
  readonly: (draft) => setReadOnly(draft, true),
  ro: (draft) => setReadOnly(draft, true),
  readwrite: (draft) => setReadOnly(draft, false),
  rw: (draft) => setReadOnly(draft, false),
  required: (draft, field) => {
    requireType(draft, field, 'secret', 'ssh')
    draft.required = true
  },
}

/**
 * Looks at a mount before its variables have values: only its form and `from`, which takes none, can be wrong yet.
 * @throws Complaint
 */
export function checkMount(spec: string): void {
  for (const { key, value } of readFields(spec, 'mounts')) {
    const dollar = key === 'from' ? value.indexOf('$') : -1
    if (dollar !== -1 && dollar !== value.length - 1) {
      throw new Complaint(`'${key}' doesn't support variable expansion, define alias stage instead`)
    }
  }
}

/** Value of `from`, which is needed before the variables of the stage are known; empty when none is written. */
export function mountSource(spec: string): string {
  let from = ''
  for (const field of readFields(spec, 'mounts')) if (field.key === 'from') from = field.value
  return from
}

/**
 * Reads a mount, with the variables in its values expanded.
 * @throws Complaint, or what `expand` throws.
 */
export function parseMount(spec: string, expand: ExpandValue): RunMount {
  const draft: MountDraft = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readOnly: false,
    readOnlyByType: true,
    sizeLimitBytes: 0,
    id: '',
    sharing: undefined,
    required: false,
    env: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
  }
  for (const field of readFields(spec, 'mounts')) {
    if (field.hasValue) readKey(draft, { ...field, value: expand(field.value) })
    else readLoneKey(draft, field)
  }
  return finish(draft)
}

function readKey(draft: MountDraft, field: Field): void {
  const read = Object.hasOwn(KEYS, field.key) ? KEYS[field.key] : undefined
  if (read === undefined) throw unexpectedKey(field, Object.keys(KEYS))
  read(draft, field)
}

function readLoneKey(draft: MountDraft, field: Field): void {
  const read = Object.hasOwn(LONE_KEYS, field.key) ? LONE_KEYS[field.key] : undefined
  if (read === undefined) throw new Complaint(`invalid field '${field.text}' must be a key=value pair`)
  read(draft, field)
}

function finish(draft: MountDraft): RunMount {
  const { readOnlyByType, ...mount } = draft
  const { type } = mount
  if (type === 'bind' || type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (mount[key] !== undefined) throw new Complaint(`${key} not allowed for ${quote(type)} type mounts`)
    }
  }
  if (readOnlyByType) mount.readOnly = type !== 'cache' && type !== 'tmpfs'
  if (type === 'secret') checkSecret(mount)
  if (mount.sharing !== undefined && type !== 'cache') {
    throw new Complaint(`invalid cache sharing set for ${type} mount`)
  }
  return mount
}

function checkSecret(mount: RunMount): void {
  if (mount.from !== '') throw new Complaint('secret mount should not have a from')
  if (mount.sharing !== undefined) throw new Complaint('secret mount should not define sharing')
  if (mount.source === '' && mount.target === '' && mount.id === '') {
    throw new Complaint('invalid secret mount. one of source, target required')
  }
  if (mount.source !== '' && mount.id !== '') throw new Complaint("both source and id can't be set")
}

function readType(draft: MountDraft, { value }: Field): void {
  const type = MOUNT_TYPES.find((known) => known === lowerCase(value))
  if (type === undefined) throw unsupported('mount type', value, MOUNT_TYPES)
  draft.type = type
}

function readSharing(draft: MountDraft, { value }: Field): void {
  const sharing = SHARING_MODES.find((known) => known === lowerCase(value))
  if (sharing === undefined) throw unsupported('sharing value', value, SHARING_MODES)
  draft.sharing = sharing
}

function readSize(draft: MountDraft, field: Field): void {
  requireType(draft, field, 'tmpfs')
  const size = parseSize(field.value)
  if (size === undefined) throw invalidValue(field)
  draft.sizeLimitBytes = size
}

function readNumber({ key, value }: Field, base: 8 | 10): number {
  const number = parseUint32(value, base)
  if (number === undefined) throw new Complaint(`invalid value ${value} for ${key}`)
  return number
}

function readBoolean(field: Field): boolean {
  const value = parseBoolean(field.value)
  if (value === undefined) throw invalidValue(field)
  return value
}

function setReadOnly(draft: MountDraft, readOnly: boolean): void {
  draft.readOnly = readOnly
  draft.readOnlyByType = false
}

// The type counts that is known so far: `type` has to come before the keys that depend on it.
function requireType(draft: MountDraft, { key }: Field, ...types: MountType[]): void {
  if (types.includes(draft.type)) return
  throw new Complaint(`unexpected key '${key}' for mount type '${draft.type}'`)
}

function unsupported(what: string, value: string, known: readonly string[]): Complaint {
  return new Complaint(withSuggestion(`unsupported ${what} ${quote(value)}`, value, known, { caseSensitive: true }))
}

function invalidValue({ key, value }: Field): Complaint {
  return new Complaint(`invalid value for ${key}: ${value}`)
}

function unexpectedKey({ key, text }: Field, known: readonly string[]): Complaint {
  return new Complaint(withSuggestion(`unexpected key '${key}' in '${text}'`, key, known, { caseSensitive: true }))
}

/**
 * Reads a `--device`: a name, and whether the step needs it.
 * @throws Complaint
 */
export function parseDevice(spec: string): DeviceRequest {
  let name = ''
  let required = false
  for (const field of readFields(spec, 'devices')) {
    if (field.key === 'required') {
      required = field.hasValue ? readBoolean(field) : true
    } else if (field.hasValue && field.key === 'name') {
      if (name !== '') throw new Complaint(`device name already set to ${name}`)
      name = field.value
    } else if (name === '') name = field.text
    else if (field.hasValue) throw unexpectedKey(field, ['name', 'required'])
    else throw new Complaint(`invalid field '${field.text}' must be a key=value pair`)
  }
  return { name, required }
}

function readFields(spec: string, what: string): (Field & { hasValue: boolean })[] {
  return splitFields(spec, what).map((text) => {
    const at = text.indexOf('=')
    const key = lowerCase(at === -1 ? text : text.slice(0, at))
    return { text, key, value: at === -1 ? '' : text.slice(at + 1), hasValue: at !== -1 }
  })
}

function splitFields(spec: string, what: string): string[] {
  try {
    return parseCsvFields(spec)
  } catch (error) {
    if (isComplaint(error)) throw new Complaint(`failed to parse csv ${what}: ${error.message}`)
    throw error
  }
}
