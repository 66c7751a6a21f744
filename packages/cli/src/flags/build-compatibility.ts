import type { FlagSpec } from '../flag-types.ts'

/**
 * Flags of `docker buildx build` and of Docker's classic builder that scripts bring along: what they ask for is so anyway,
 * or refused by name, never dropped in silence. Help lists them with --all alone.
 */
export const compatibilityFlags = [
  {
    name: 'provenance',
    group: 'Compatibility',
    kind: 'text',
    value: 'false',
    summary: 'only false: no attestations are made',
    refused: {
      message: 'provenance attestations are not supported',
      hint: 'leave it out, or --provenance=false',
      unless: ['false'],
    },
  },
  {
    name: 'sbom',
    group: 'Compatibility',
    kind: 'text',
    value: 'false',
    summary: 'only false: no attestations are made',
    refused: {
      message: 'SBOM attestations are not supported',
      hint: 'leave it out, or --sbom=false',
      unless: ['false'],
    },
  },
  {
    name: 'attest',
    group: 'Compatibility',
    kind: 'texts',
    value: 'TYPE',
    refused: { message: 'attestations are not supported', hint: 'leave it out' },
  },
  {
    name: 'load',
    group: 'Compatibility',
    kind: 'optional',
    value: 'ENGINE',
    summary:
      'the image is in the store, as without it; docker or podman: into that engine, as -o type=docker,engine=ENGINE',
  },
  {
    name: 'builder',
    group: 'Compatibility',
    kind: 'text',
    value: 'NAME',
    refused: { message: 'there are no builder instances, the build runs in this process', hint: 'leave it out' },
  },
  {
    name: 'policy',
    group: 'Compatibility',
    kind: 'texts',
    value: 'POLICY',
    refused: { message: 'source policies are not supported', hint: 'pin bases by digest instead' },
  },
  {
    name: 'rm',
    group: 'Compatibility',
    kind: 'boolean',
    summary: 'accepted without effect: steps leave no containers behind',
  },
  {
    name: 'force-rm',
    group: 'Compatibility',
    kind: 'boolean',
    summary: 'accepted without effect: steps leave no containers behind',
  },
  {
    name: 'compress',
    group: 'Compatibility',
    kind: 'boolean',
    summary: 'accepted without effect: the context is read where it lies',
  },
  {
    name: 'debug',
    group: 'Compatibility',
    char: 'D',
    kind: 'boolean',
    summary: 'accepted without effect: errors tell all they know anyway',
  },
  {
    name: 'security-opt',
    group: 'Compatibility',
    kind: 'texts',
    value: 'OPTION',
    refused: {
      message: 'security options of steps are not supported yet',
      hint: 'leave it out; a step that needs more rights: RUN --security=insecure with --allow security.insecure',
    },
  },
] as const satisfies readonly FlagSpec[]
