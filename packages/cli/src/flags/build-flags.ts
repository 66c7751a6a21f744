import { cacheBackends, isolations, networks, outputs, snapshots } from '@ts-oci/builder/families'
import type { FlagSpec } from '../flag-types.ts'
import { listed, namesOf } from './families.ts'
import { resourceFlags } from './resource-flags.ts'
import { progress, quiet, registry, store } from './shared.ts'

/** What `tsbuild build` can be told, by groups, the everyday ones first. */
export const buildFlags = [
  { name: 'tag', char: 't', kind: 'texts', value: 'NAME[:TAG]', summary: 'name of the image' },
  {
    name: 'file',
    char: 'f',
    kind: 'text',
    value: 'FILE',
    summary: 'the Dockerfile, - for standard input; default Dockerfile in CONTEXT',
  },
  { name: 'target', kind: 'text', value: 'STAGE', summary: 'stage to build; default the last' },
  {
    name: 'build-arg',
    kind: 'texts',
    value: 'NAME[=VALUE]',
    summary: 'value of an ARG; without =VALUE from the environment',
  },
  {
    name: 'platform',
    kind: 'texts',
    value: 'OS/ARCH',
    summary: "platforms of the image, separated by commas; RUN for another machine's needs binfmt",
  },
  { name: 'push', kind: 'boolean', summary: 'push what was built under its tags' },
  {
    name: 'output',
    char: 'o',
    kind: 'texts',
    value: 'type=TYPE,dest=PATH',
    summary: `what to write: ${listed(outputs)}, with attributes; may be repeated`,
  },
  {
    name: 'cache-from',
    kind: 'texts',
    value: 'IMAGE|type=TYPE,…',
    summary: `caches that are asked for what is not here: an image or cache in a registry, ${listed(cacheBackends)}; may be repeated`,
  },
  {
    name: 'cache-to',
    kind: 'texts',
    value: 'type=TYPE,…',
    summary: `where the cache of this build goes: ${listed(cacheBackends)}, with attributes; may be repeated`,
  },
  { name: 'no-cache', kind: 'boolean', summary: 'run everything again, with empty cache mounts' },
  {
    name: 'pull',
    kind: 'optional',
    value: 'always|missing|never|newer',
    summary:
      'ask the registry for every base (alone, true, newer: always), for those that the store lacks, or for none; without it for those that only builds have fetched',
  },
  { ...quiet, summary: 'print only the image id' },
  progress,
  {
    name: 'summary',
    kind: 'boolean',
    summary: 'end with the slowest steps, the critical path, what was cached and how much was moved',
  },

  // Output
  { name: 'label', group: 'Output', kind: 'texts', value: 'KEY=VALUE', summary: 'label of the image' },
  { name: 'annotation', group: 'Output', kind: 'texts', value: 'KEY=VALUE', summary: 'annotation of the manifest' },
  { name: 'iidfile', group: 'Output', kind: 'text', value: 'FILE', summary: 'write the image id to a file' },
  {
    name: 'metadata-file',
    group: 'Output',
    kind: 'text',
    value: 'FILE',
    summary: 'write digests, names and a summary as JSON to a file',
  },
  {
    name: 'source-date-epoch',
    group: 'Output',
    kind: 'text',
    value: 'SECONDS',
    summary: 'time of what is made; of files only with rewrite-timestamp=true of -o; default $SOURCE_DATE_EPOCH',
  },

  // Context and secret
  {
    name: 'build-context',
    group: 'Context and secret',
    kind: 'texts',
    value: 'NAME=VALUE',
    summary: 'further context: a directory, docker-image://…, oci-layout://…, git or http URL',
  },
  {
    name: 'secret',
    group: 'Context and secret',
    kind: 'texts',
    value: 'id=ID[,src=FILE|,env=NAME]',
    summary: 'secret for RUN --mount=type=secret',
  },
  {
    name: 'ssh',
    group: 'Context and secret',
    kind: 'texts',
    value: 'default|ID=SOCKET|ID=KEY[,KEY]',
    summary: 'SSH agent, or key files, for RUN --mount=type=ssh and for git over ssh',
  },

  // Cache
  { name: 'no-cache-filter', group: 'Cache', kind: 'texts', value: 'STAGE', summary: 'run these stages again' },
  {
    name: 'keep-cache-mounts',
    group: 'Cache',
    kind: 'boolean',
    summary: 'do not empty the cache mounts of steps that --no-cache runs again',
  },

  // Step
  {
    name: 'network',
    group: 'Step',
    kind: 'text',
    value: 'MODE',
    options: namesOf(networks),
    summary: `network of RUN: ${listed(networks)}`,
  },
  { name: 'add-host', group: 'Step', kind: 'texts', value: 'NAME:ADDRESS', summary: 'line in /etc/hosts of RUN' },
  {
    name: 'allow',
    group: 'Step',
    kind: 'texts',
    value: 'RIGHT',
    summary: 'right that the Dockerfile may ask for: network.host, security.insecure, device, device=NAME[,alias=NAME]',
  },
  {
    name: 'cdi-spec-dir',
    group: 'Step',
    kind: 'texts',
    value: 'DIR',
    summary: 'where devices are described for RUN --device, instead of /etc/cdi, /var/run/cdi, /etc/buildkit/cdi',
  },
  { name: 'ulimit', group: 'Step', kind: 'texts', value: 'NAME=SOFT[:HARD]', summary: 'resource limit of RUN' },
  {
    name: 'shm-size',
    group: 'Step',
    kind: 'text',
    value: 'BYTES',
    summary: 'size of /dev/shm of RUN, with k, m or g',
  },
  {
    name: 'resource',
    group: 'Step',
    kind: 'texts',
    value: 'KEY=VALUE',
    summary:
      'limit of each RUN: memory, memory-swap, cpu-shares, cpu-quota, cpu-period, cpuset-cpus, cpuset-mems; may be repeated',
  },
  ...resourceFlags,
  {
    name: 'isolation',
    group: 'Step',
    kind: 'text',
    value: 'MODE',
    options: ['default', 'auto', ...namesOf(isolations)],
    summary: `how RUN is isolated: auto or default (the strongest that the machine allows), ${listed(isolations)}`,
  },
  {
    name: 'snapshots',
    group: 'Step',
    kind: 'text',
    value: 'KIND',
    options: ['auto', ...namesOf(snapshots)],
    summary: `how the file system of a RUN is made of layers: auto (the first that works on the disk of the store), ${listed(snapshots)}`,
  },
  {
    name: 'jobs',
    group: 'Step',
    kind: 'text',
    value: 'N',
    summary: 'steps that run at the same time; default eight for each core',
  },

  // Registry and store
  ...registry.map((flag) => ({ ...flag, group: 'Registry and store' })),
  { ...store, group: 'Registry and store' },
  {
    name: 'gc',
    group: 'Registry and store',
    kind: 'text',
    value: 'RULE',
    summary:
      'tidying up of the cache after the build: false, true, or reserved-space=SIZE,max-used-space=SIZE,min-free-space=SIZE (bytes or a percentage of the disk); default $TSBUILD_GC, else as BuildKit',
  },

  // Question
  {
    name: 'check',
    group: 'Question',
    kind: 'boolean',
    summary: 'print warnings and errors of the Dockerfile instead of building: --call=check',
  },
  {
    name: 'call',
    group: 'Question',
    kind: 'text',
    value: 'METHOD[,format=json]',
    options: [
      'build',
      'check',
      'outline',
      'targets',
      'lint',
      'check,format=json',
      'outline,format=json',
      'targets,format=json',
      'lint,format=json',
    ],
    summary: 'answer a question instead of building: check (or lint), outline, targets',
  },
] as const satisfies readonly FlagSpec[]
