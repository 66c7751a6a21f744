import { BuilderError } from '../../base/errors.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'
import type { Vertex } from '../../graph/types.ts'

/** @throws OCI_STEP_UNSUPPORTED for a step that asks for a right which its build was not given */
export function refuseRights(allowed: ReadonlySet<string>, vertex: Vertex, spec: ExecSpec): void {
  if (spec.network === 'host' && !allowed.has('network.host')) {
    throw new BuilderError('OCI_STEP_UNSUPPORTED', 'failed to load LLB: network.host is not allowed', {
      ...(vertex.metadata.location && { location: vertex.metadata.location }),
      hint: 'give --allow network.host, or --network=host for all steps',
    })
  }
  if (spec.security === 'insecure' && !allowed.has('security.insecure')) {
    throw new BuilderError('OCI_STEP_UNSUPPORTED', 'failed to load LLB: security.insecure is not allowed', {
      ...(vertex.metadata.location && { location: vertex.metadata.location }),
      hint: 'give --allow security.insecure',
    })
  }
}
