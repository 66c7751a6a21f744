/** What signs for a step or for git: an agent outside, or keys that are held here. */
export interface SshAgent {
  /** Where an agent listens that runs outside; undefined: its keys are held here. */
  readonly socket: string | undefined
  /** For one client; its requests are asked one after the other. */
  connect(): AgentConnection
}

export interface AgentConnection {
  /** Answers one message of the agent protocol, both without their length. Rejects when the agent has gone. */
  ask(request: Buffer): Promise<Buffer>
  close(): void
}
