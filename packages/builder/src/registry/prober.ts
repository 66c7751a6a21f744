import { createRegistryClient, type RegistryClient } from './client.ts'
import type { RegistryClientOptions } from './options.ts'

/** Milliseconds for each step of one question: connection, answer, token. */
const STEP_MS = 5000

/** A client for the one question that a cached build asks: it waits for seconds only, and asks once. */
export function createProber(options: RegistryClientOptions): RegistryClient {
  const timeouts = { connectMs: STEP_MS, headersMs: STEP_MS, documentMs: STEP_MS }
  return createRegistryClient({ ...options, retries: 0, timeouts: { ...timeouts, ...options.timeouts } })
}
