import { createConnection } from 'node:net'
import type { AgentConnection, SshAgent } from './types.ts'
import { AgentMessage, FAILURE, readMessages, sshString } from './wire.ts'

/**
 * The agent of the user behind `socket`. It may be asked for its keys and for signatures; to add keys, to remove or to lock them
 * is refused here, as BuildKit refuses it: a step borrows the agent, it does not get it.
 */
export function createLentAgent(socket: string): SshAgent {
  return { socket, connect: () => connect(socket) }
}

function connect(path: string): AgentConnection {
  const socket = createConnection(path)
  // Whoever asks hears of it: the answers end.
  socket.on('error', () => undefined)
  const answers = readMessages(socket)
  return {
    async ask(request) {
      if (request[0] !== AgentMessage.requestIdentities && request[0] !== AgentMessage.signRequest) return FAILURE
      socket.write(sshString(request))
      const { value, done } = await answers.next()
      if (done === true) throw new Error('the ssh agent has gone')
      return value
    },
    close: () => socket.destroy(),
  }
}
