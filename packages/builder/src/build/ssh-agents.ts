import { closeSync, openSync, readSync, statSync, type Stats } from 'node:fs'
import { errnoWords } from '../base/errno-words.ts'
import { BuilderError } from '../base/errors.ts'
import { quote } from '../base/text.ts'
import type { SshAgent } from '../ops/ssh-agent/types.ts'
import type { SshSource } from './public-types.ts'

/** BuildKit's bound for one key file. */
const MAX_KEY_BYTES = 100 * 1024

/**
 * Looks agents up by id. What cannot serve is refused before anything is built, with the words of `docker build`.
 * @throws OCI_OPTION_INVALID, OCI_SECRET_NOT_FOUND
 */
export async function createSshAgents(sources: readonly SshSource[]): Promise<(id: string) => SshAgent | undefined> {
  const agents = new Map<string, SshAgent>()
  for (const source of sources) {
    const id = source.id || 'default'
    if (agents.has(id))
      throw new BuilderError('OCI_OPTION_INVALID', `duplicate agent ID ${quote(id)}`, {
        hint: `name all keys of an agent at once: --ssh ${id}=KEY,KEY`,
      })
    agents.set(id, await agentOf(id, source.paths ?? []))
  }
  return (id) => agents.get(id)
}

async function agentOf(id: string, named: readonly string[]): Promise<SshAgent> {
  const isNamed = named.length > 1 || (named[0] ?? '') !== ''
  const paths = isNamed ? named : [process.env['SSH_AUTH_SOCK'] ?? '']
  if (!isNamed && paths[0] === '') {
    throw new BuilderError('OCI_OPTION_INVALID', 'invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set', {
      hint: `start an agent (eval "$(ssh-agent)"; ssh-add), or name its socket or a key: --ssh ${id}=PATH`,
    })
  }
  const keyFiles: string[] = []
  let socket: string | undefined
  for (const path of paths) {
    if (socket !== undefined) throw refused(id, 'only single socket allowed', 'give the others an id of their own')
    if (statOf(id, path).isSocket()) socket = path
    else keyFiles.push(path)
  }
  if (socket !== undefined && keyFiles.length > 0)
    throw refused(id, 'invalid combination of keys and sockets', `give them two ids, or ssh-add the keys to the agent`)
  if (socket !== undefined) return (await import('../ops/ssh-agent/lent-agent.ts')).createLentAgent(socket)
  return keyAgentOf(id, keyFiles)
}

async function keyAgentOf(id: string, files: readonly string[]): Promise<SshAgent> {
  const [{ parsePrivateKey }, { createKeyAgent }] = await Promise.all([
    import('../ops/ssh-agent/private-key.ts'),
    import('../ops/ssh-agent/key-agent.ts'),
  ])
  return createKeyAgent(
    files.map((file) => {
      const text = readKey(id, file)
      try {
        return parsePrivateKey(text)
      } catch (cause) {
        const { message } = cause as Error
        throw refused(id, `failed to parse ${file}: ${message}`, hintOf(message, id, file), cause)
      }
    }),
  )
}

function hintOf(message: string, id: string, file: string): string {
  if (message.includes('passphrase')) return `add it to an agent, which asks for it: ssh-add ${file}, then --ssh ${id}`
  return 'a key file is a private key of RSA, ECDSA or Ed25519, as ssh-keygen writes it'
}

function statOf(id: string, path: string): Stats {
  try {
    return statSync(path)
  } catch (cause) {
    throw refused(id, `stat ${path}: ${errnoWords(cause)}`, 'name a socket of an agent, or key files', cause)
  }
}

function readKey(id: string, file: string): string {
  try {
    const fd = openSync(file, 'r')
    try {
      const buffer = Buffer.alloc(MAX_KEY_BYTES)
      let used = 0
      for (let count = -1; count !== 0 && used < buffer.length; used += count)
        count = readSync(fd, buffer, used, buffer.length - used, null)
      return buffer.toString('latin1', 0, used)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    throw refused(id, `failed to read ${file}: ${errnoWords(cause)}`, 'name a file that you may read', cause)
  }
}

function refused(id: string, why: string, hint: string, cause?: unknown): BuilderError {
  return new BuilderError('OCI_OPTION_INVALID', `failed to convert agent config for ID: ${quote(id)}: ${why}`, {
    hint,
    cause,
  })
}
