import type { FlagSpec } from '../flag-types.ts'

/** Flags that several commands have. */

export const store = {
  name: 'store',
  kind: 'text',
  value: 'DIR',
  summary: 'the store; default $TSBUILD_HOME, else ts-oci in the XDG data directory',
} as const satisfies FlagSpec
export const insecureRegistry = {
  name: 'insecure-registry',
  kind: 'texts',
  value: 'HOST',
  summary:
    'registry that may be spoken to over plain HTTP or with a certificate that does not verify, * for all; loopback needs none',
} as const satisfies FlagSpec
export const authfile = {
  name: 'authfile',
  kind: 'text',
  value: 'FILE',
  summary: "credentials instead of Docker's and Podman's",
} as const satisfies FlagSpec
export const tlsVerify = {
  name: 'tls-verify',
  kind: 'boolean',
  default: true,
  summary: '--tls-verify=false: as --insecure-registry for this registry',
} as const satisfies FlagSpec
export const certDir = {
  name: 'cert-dir',
  kind: 'text',
  value: 'DIR',
  summary: 'certificates for every registry, instead of the folder of each below certs.d',
} as const satisfies FlagSpec
export const registry = [
  insecureRegistry,
  authfile,
  {
    name: 'registry-mirror',
    kind: 'texts',
    value: '[REGISTRY=]HOST[/PATH]',
    summary: 'mirror that is read from first; without REGISTRY of Docker Hub',
  },
  {
    name: 'registries-conf',
    kind: 'text',
    value: 'FILE',
    summary: "mirrors, rewrites and blocked registries, instead of the machine's files",
  },
  certDir,
  {
    name: 'registry-certificate',
    kind: 'texts',
    value: 'HOST=FILE[,KEY]',
    summary: 'authority of one registry, or a certificate and its key that this client shows to it',
  },
  { name: 'retry', kind: 'text', value: 'N', summary: 'tries after a transfer failed; default 5' },
  {
    name: 'retry-delay',
    kind: 'text',
    value: 'TIME',
    summary: 'first pause before a further try, as 2s; each is twice as long',
  },
] as const satisfies readonly FlagSpec[]
export const progress = {
  name: 'progress',
  kind: 'text',
  value: 'MODE',
  options: ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson'],
  summary: 'how progress is shown: auto, plain, tty, quiet, rawjson; default $BUILDKIT_PROGRESS, else auto',
} as const satisfies FlagSpec
export const quiet = { name: 'quiet', char: 'q', kind: 'boolean' } as const
export const format = {
  name: 'format',
  kind: 'text',
  value: 'TEMPLATE',
  summary: 'Go template, "table TEMPLATE" or json',
} as const satisfies FlagSpec
export const noTrunc = { name: 'no-trunc', kind: 'boolean', summary: 'do not shorten' } as const satisfies FlagSpec
