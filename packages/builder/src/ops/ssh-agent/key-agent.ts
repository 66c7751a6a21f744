import type { SigningKey } from './private-key.ts'
import type { SshAgent } from './types.ts'
import { AgentMessage, createFieldReader, FAILURE, sshString, uint32 } from './wire.ts'

/**
 * An agent that holds keys in this process and on no disk. Our own: the protocol is two messages and the cryptography is Node's.
 * `ssh2` of npm has one, with an install script that compiles, against which this package promises; `sshpk` has none.
 */
export function createKeyAgent(keys: readonly SigningKey[]): SshAgent {
  const byBlob = new Map(keys.map((key) => [key.blob.toString('latin1'), key]))
  const answer = (request: Buffer): Buffer => {
    if (request[0] === AgentMessage.requestIdentities) return identities([...byBlob.values()])
    if (request[0] !== AgentMessage.signRequest) return FAILURE
    const fields = createFieldReader(request.subarray(1))
    const key = byBlob.get(fields.string().toString('latin1'))
    if (key === undefined) return FAILURE
    const data = fields.string()
    const signature = key.sign(data, fields.uint32())
    return Buffer.concat([Buffer.from([AgentMessage.signResponse]), sshString(signature)])
  }
  return {
    socket: undefined,
    connect: () => ({
      ask: async (request) => {
        try {
          return answer(request)
        } catch {
          // A request that is none, or a signature that this key cannot give: the protocol has one word for both.
          return FAILURE
        }
      },
      close: () => undefined,
    }),
  }
}

function identities(keys: readonly SigningKey[]): Buffer {
  // Without comments, as BuildKit's.
  const list = keys.flatMap(({ blob }) => [sshString(blob), sshString('')])
  return Buffer.concat([Buffer.from([AgentMessage.identitiesAnswer]), uint32(keys.length), ...list])
}
