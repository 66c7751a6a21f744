/** Messages of the build graph as JSON, byte for byte as BuildKit's own types give it: its keys are digests of that. */
import { type DescField, type DescMessage, type Message, type MessageShape, isMessage } from '@bufbuild/protobuf'
import { UserOptSchema, type UserOpt } from './proto/llb_pb.ts'

/** What JSON.stringify writes with the members in the order of the message; what is unset is left out (Go's `omitempty`). */
export function jsonOfMessage<Schema extends DescMessage>(
  schema: Schema,
  message: MessageShape<Schema>,
): Record<string, unknown> {
  if (isMessage(message, UserOptSchema)) return jsonOfUser(message)
  const members: [string, unknown][] = []
  for (const field of schema.fields) {
    const value = jsonOfField(field, memberOf(field, message))
    if (value !== undefined) members.push([field.name, value])
  }
  return Object.fromEntries(members)
}

function memberOf(field: DescField, message: Message): unknown {
  const record = message as unknown as Record<string, unknown>
  if (field.oneof === undefined) return record[field.localName]
  const chosen = record[field.oneof.localName] as { readonly case?: string; readonly value?: unknown }
  return chosen.case === field.localName ? chosen.value : undefined
}

function jsonOfField(field: DescField, value: unknown): unknown {
  if (value === undefined) return undefined
  if (field.fieldKind === 'message') return jsonOfMessage(field.message, value as Message)
  if (field.fieldKind === 'list') {
    const list = value as readonly unknown[]
    if (list.length === 0) return undefined
    return list.map((item) =>
      field.listKind === 'message' ? jsonOfMessage(field.message, item as Message) : jsonOfScalar(item),
    )
  }
  if (field.fieldKind === 'map') throw new Error(`${field.name}: no key holds a map`)
  const json = jsonOfScalar(value)
  return json === '' || json === 0 || json === false ? undefined : json
}

function jsonOfScalar(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

/** The one message that BuildKit spells by hand. */
function jsonOfUser({ user }: UserOpt): Record<string, unknown> {
  if (user.case === 'byName') {
    const { name, input } = user.value
    return { User: { byName: { ...(name === '' ? {} : { name }), ...(input === 0n ? {} : { input: Number(input) }) } } }
  }
  return { User: user.value === undefined || user.value === 0 ? {} : { byId: user.value } }
}
