/** Entry of a thread that does one file job: takes it as its data, posts what came of it, and ends. */
import { deserialize, serialize } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { addPrivateMount } from '@ts-oci/runtime'
import { handlers } from './jobs.ts'
import { toFacts, type JobRequest, type JobReply } from './thread-job.ts'

const { name, input, mounts } = deserialize(workerData as Uint8Array) as JobRequest
mounts.forEach(addPrivateMount)
const handler = handlers[name] as (input: unknown) => Promise<unknown>
let reply: JobReply
try {
  reply = { output: await handler(input) }
} catch (error) {
  reply = { error: toFacts(error) }
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort!.postMessage(serialize(reply))
