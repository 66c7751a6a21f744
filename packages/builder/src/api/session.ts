import * as sessions from '../build/session.ts'
import type { Session, SessionOptions } from '../build/session-types.ts'

/**
 * Opens what calls may share: store, registry client, executor and scheduler. A vertex that two builds of it need is run
 * once, and both hear of it. Close it after its calls: what still runs is stopped.
 * @throws OCI_STORE_UNUSABLE, OCI_STORE_VERSION
 * @example
 * await using session = await openSession()
 * await Promise.all(['web', 'worker'].map((target) => build({ session, context: '.', target, tags: [target] })))
 */
export function openSession(options: SessionOptions = {}): Promise<Session> {
  return sessions.openSession(options, { isShared: true })
}
