import { type CommandSpec, defineSpec, type FlagSpec } from './flag-types.ts'

const store = {
  name: 'store',
  kind: 'text',
  value: 'DIR',
  summary: 'the store; default $TSBUILD_HOME, else ts-oci in the XDG data directory',
} as const satisfies FlagSpec
const registry = [
  {
    name: 'insecure-registry',
    kind: 'texts',
    value: 'HOST',
    summary:
      'registry that may be spoken to over plain HTTP or with a certificate that does not verify; loopback needs none',
  },
  { name: 'authfile', kind: 'text', value: 'FILE', summary: "credentials instead of Docker's and Podman's" },
  { name: 'retry', kind: 'text', value: 'N', summary: 'tries after a transfer failed; default 5' },
] as const satisfies readonly FlagSpec[]
const progress = {
  name: 'progress',
  kind: 'text',
  value: 'MODE',
  options: ['auto', 'plain', 'tty', 'quiet', 'none', 'rawjson'],
  summary: 'how progress is shown: auto, plain, tty, quiet, rawjson; default $BUILDKIT_PROGRESS, else auto',
} as const satisfies FlagSpec
const quiet = { name: 'quiet', char: 'q', kind: 'boolean' } as const
const format = {
  name: 'format',
  kind: 'text',
  value: 'TEMPLATE',
  summary: 'Go template, "table TEMPLATE" or json',
} as const satisfies FlagSpec
const noTrunc = { name: 'no-trunc', kind: 'boolean', summary: 'do not shorten' } as const satisfies FlagSpec
const noTable = 'not supported yet'
const limits = {
  message: 'resource limits of steps are not supported yet',
  hint: 'limit tsbuild itself, and its steps with it, as in: systemd-run --scope -p MemoryMax=2G tsbuild ...',
} as const

/** `tsbuild build`: the flags of `docker buildx build`, and those of buildah and kaniko that scripts bring along. */
export const build = defineSpec({
  name: 'build',
  summary: 'build an image from a Dockerfile',
  description:
    'CONTEXT is a directory, a git repository, the URL of an archive or Dockerfile, or - for a tar or a Dockerfile on standard input. Without -o the image goes to the store.',
  examples: [
    'tsbuild -t my-app .',
    'tsbuild build -t my-app -o type=oci,dest=my-app.tar .',
    'tsbuild -t registry.example.com/my-app --push .',
  ],
  args: [{ name: 'CONTEXT', summary: 'files of the build: a directory, git or http URL, or -', required: true }],
  flags: [
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
    { name: 'label', kind: 'texts', value: 'KEY=VALUE', summary: 'label of the image' },
    { name: 'annotation', kind: 'texts', value: 'KEY=VALUE', summary: 'annotation of the manifest' },
    {
      name: 'secret',
      kind: 'texts',
      value: 'id=ID[,src=FILE|,env=NAME]',
      summary: 'secret for RUN --mount=type=secret',
    },
    {
      name: 'ssh',
      kind: 'texts',
      value: 'default|ID=SOCKET',
      summary: 'SSH agent for RUN --mount=type=ssh and for git over ssh',
    },
    {
      name: 'build-context',
      kind: 'texts',
      value: 'NAME=VALUE',
      summary: 'further context: a directory, docker-image://…, oci-layout://…, git or http URL',
    },
    { name: 'no-cache', kind: 'boolean', summary: 'run everything again, with empty cache mounts' },
    { name: 'no-cache-filter', kind: 'texts', value: 'STAGE', summary: 'run these stages again' },
    {
      name: 'keep-cache-mounts',
      kind: 'boolean',
      summary: 'do not empty the cache mounts of steps that --no-cache runs again',
    },
    {
      name: 'pull',
      kind: 'optional',
      value: 'always|missing|never|newer',
      summary:
        'ask the registry for every base (alone, true, newer: always), for those that the store lacks, or for none; without it for those that only builds have fetched',
    },
    { name: 'push', kind: 'boolean', summary: 'push what was built under its tags' },
    {
      name: 'platform',
      kind: 'text',
      value: 'OS/ARCH',
      summary: "platform of the image; RUN works for the machine's own only",
    },
    {
      name: 'output',
      char: 'o',
      kind: 'texts',
      value: 'type=TYPE,dest=PATH',
      summary: 'what to write: image, registry, oci, docker, tar, local, cacheonly, with attributes; may be repeated',
    },
    { ...quiet, summary: 'print only the image id' },
    progress,
    { name: 'iidfile', kind: 'text', value: 'FILE', summary: 'write the image id to a file' },
    { name: 'metadata-file', kind: 'text', value: 'FILE', summary: 'write digests and names as JSON to a file' },
    {
      name: 'network',
      kind: 'text',
      value: 'MODE',
      options: ['default', 'host', 'none'],
      summary: "network of RUN: default (the host's), host, none",
    },
    { name: 'add-host', kind: 'texts', value: 'NAME:ADDRESS', summary: 'line in /etc/hosts of RUN' },
    {
      name: 'allow',
      kind: 'texts',
      value: 'RIGHT',
      summary: 'right that the Dockerfile may ask for: network.host, security.insecure',
    },
    { name: 'ulimit', kind: 'texts', value: 'NAME=SOFT[:HARD]', summary: 'resource limit of RUN' },
    { name: 'shm-size', kind: 'text', value: 'BYTES', summary: 'size of /dev/shm of RUN, with k, m or g' },
    {
      name: 'isolation',
      kind: 'text',
      value: 'MODE',
      options: ['default', 'auto', 'namespace', 'rootless'],
      summary:
        'how RUN is isolated: auto or default (the strongest that the machine allows), namespace (root), rootless',
    },
    { name: 'jobs', kind: 'text', value: 'N', summary: 'steps that run at the same time; default eight for each core' },
    {
      name: 'source-date-epoch',
      kind: 'text',
      value: 'SECONDS',
      summary: 'time of what is made; of files only with rewrite-timestamp=true of -o; default $SOURCE_DATE_EPOCH',
    },
    ...registry,
    store,
    // Known from elsewhere: what they ask for is refused by name, never dropped in silence.
    {
      name: 'provenance',
      kind: 'optional',
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
      kind: 'optional',
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
      kind: 'texts',
      value: 'TYPE',
      summary: noTable,
      refused: { message: 'attestations are not supported', hint: 'leave it out' },
    },
    {
      name: 'load',
      kind: 'boolean',
      summary: 'refused: there is no daemon to load into',
      refused: {
        message: 'there is no daemon to load into; the image is in the store anyway',
        hint: 'for Docker: tsbuild -t NAME -o type=docker,dest=image.tar CONTEXT && docker load -i image.tar',
      },
    },
    {
      name: 'cache-from',
      kind: 'texts',
      value: 'SOURCE',
      summary: noTable,
      refused: {
        message: 'external caches are not supported yet',
        hint: 'the cache of the store is used; keep $TSBUILD_HOME between runs',
      },
    },
    {
      name: 'cache-to',
      kind: 'texts',
      value: 'TARGET',
      summary: noTable,
      refused: {
        message: 'external caches are not supported yet',
        hint: 'the cache of the store is written; keep $TSBUILD_HOME between runs',
      },
    },
    {
      name: 'builder',
      kind: 'text',
      value: 'NAME',
      summary: noTable,
      refused: { message: 'there are no builder instances, the build runs in this process', hint: 'leave it out' },
    },
    {
      name: 'call',
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
    {
      name: 'check',
      kind: 'boolean',
      summary: 'print warnings and errors of the Dockerfile instead of building: --call=check',
    },
    {
      name: 'cgroup-parent',
      kind: 'text',
      value: 'CGROUP',
      summary: noTable,
      refused: { message: 'the cgroup of steps cannot be chosen', hint: 'leave it out' },
    },
    {
      name: 'policy',
      kind: 'texts',
      value: 'POLICY',
      summary: noTable,
      refused: { message: 'source policies are not supported', hint: 'pin bases by digest instead' },
    },
    {
      name: 'resource',
      kind: 'texts',
      value: 'KEY=VALUE',
      summary: noTable,
      refused: limits,
    },
    // Of the classic builder: the first four change nothing here, and scripts bring them along.
    { name: 'rm', kind: 'boolean', summary: 'accepted without effect: steps leave no containers behind' },
    { name: 'force-rm', kind: 'boolean', summary: 'accepted without effect: steps leave no containers behind' },
    { name: 'compress', kind: 'boolean', summary: 'accepted without effect: the context is read where it lies' },
    { name: 'debug', char: 'D', kind: 'boolean', summary: 'accepted without effect: errors tell all they know anyway' },
    { name: 'memory', char: 'm', kind: 'text', value: 'BYTES', summary: noTable, refused: limits },
    { name: 'memory-swap', kind: 'text', value: 'BYTES', summary: noTable, refused: limits },
    {
      name: 'cpu-shares',
      char: 'c',
      kind: 'text',
      value: 'N',
      summary: noTable,
      refused: { ...limits, hint: `${limits.hint}; kaniko's -c DIR is the last argument here` },
    },
    { name: 'cpu-period', kind: 'text', value: 'MICROSECONDS', summary: noTable, refused: limits },
    { name: 'cpu-quota', kind: 'text', value: 'MICROSECONDS', summary: noTable, refused: limits },
    { name: 'cpuset-cpus', kind: 'text', value: 'LIST', summary: noTable, refused: limits },
    { name: 'cpuset-mems', kind: 'text', value: 'LIST', summary: noTable, refused: limits },
    {
      name: 'squash',
      kind: 'boolean',
      summary: noTable,
      refused: {
        message: 'squashing layers is not supported yet',
        hint: 'end the Dockerfile with a stage FROM scratch that has COPY --from=STAGE / /, or join RUN instructions',
      },
    },
    {
      name: 'security-opt',
      kind: 'texts',
      value: 'OPTION',
      summary: noTable,
      refused: {
        message: 'security options of steps are not supported yet',
        hint: 'leave it out; a step that needs more rights: RUN --security=insecure with --allow security.insecure',
      },
    },
  ],
})

export const images = defineSpec({
  name: 'images',
  summary: 'list the images of the store',
  examples: [
    'tsbuild images',
    'tsbuild rmi $(tsbuild images -q --filter dangling=true)',
    "tsbuild images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
  ],
  args: [{ name: 'NAME[:TAG]', summary: 'only these; with * and ? a pattern', required: false }],
  flags: [
    { ...quiet, summary: 'print only ids' },
    format,
    noTrunc,
    { name: 'digests', kind: 'boolean', summary: 'show digests' },
    {
      name: 'filter',
      char: 'f',
      kind: 'texts',
      value: 'NAME=VALUE',
      summary: 'only what fits: dangling=true (images without a name), reference=PATTERN (with * and ?)',
    },
    store,
  ],
})

export const history = defineSpec({
  name: 'history',
  summary: 'show how an image was made, newest step first',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true }],
  flags: [
    { ...quiet, summary: 'print only ids' },
    format,
    noTrunc,
    {
      name: 'human',
      char: 'H',
      kind: 'boolean',
      default: true,
      summary: 'sizes and dates for people; the default, --human=false for exact ones',
    },
    store,
  ],
})

export const inspect = defineSpec({
  name: 'inspect',
  summary: 'show all facts about images as JSON',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true, repeated: true }],
  flags: [{ ...format, char: 'f' }, store],
})

export const tag = defineSpec({
  name: 'tag',
  summary: 'give an image a further name',
  args: [
    { name: 'SOURCE', summary: 'name, id or digest', required: true },
    { name: 'TARGET', summary: 'new name', required: true },
  ],
  flags: [store],
})

export const rmi = defineSpec({
  name: 'rmi',
  summary: 'remove images from the store',
  args: [{ name: 'IMAGE', summary: 'name, id or digest', required: true, repeated: true }],
  flags: [
    { name: 'force', char: 'f', kind: 'boolean', summary: 'remove an id with several names, and what is not there' },
    store,
  ],
})

export const pull = defineSpec({
  name: 'pull',
  summary: 'fetch an image from a registry into the store',
  args: [{ name: 'NAME[:TAG|@DIGEST]', summary: 'image', required: true }],
  flags: [
    { ...quiet, summary: 'print only the name' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: "platform; default the machine's" },
    progress,
    ...registry,
    store,
  ],
})

export const push = defineSpec({
  name: 'push',
  summary: 'send an image of the store to a registry',
  args: [{ name: 'NAME[:TAG]', summary: 'image', required: true }],
  flags: [{ ...quiet, summary: 'print only the name' }, progress, ...registry, store],
})

export const prune = defineSpec({
  name: 'prune',
  summary: 'remove the build cache; images stay',
  args: [],
  flags: [
    { name: 'all', char: 'a', kind: 'boolean', summary: 'also what was used within 48 hours' },
    { name: 'force', char: 'f', kind: 'boolean', summary: 'do not ask' },
    {
      name: 'filter',
      kind: 'texts',
      value: 'until=DURATION',
      summary: 'only what was not used for this long: until=24h',
    },
    store,
  ],
})

export const info = defineSpec({
  name: 'info',
  summary: 'show what this machine can do, what is missing and how to get it',
  args: [],
  flags: [{ ...format, char: 'f' }, store],
})

const jsonLines =
  'Reads one JSON document a line from standard input and answers each with one line on standard output.'

export const debugParse = defineSpec({
  name: 'debug parse',
  summary: 'show how Dockerfiles are read',
  description: `${jsonLines} {"dockerfile": TEXT} gives {"ok": true, "instructions": [...]}.`,
  args: [],
  flags: [],
})

export const debugExpand = defineSpec({
  name: 'debug expand',
  summary: 'show how variables in words are replaced',
  description: `${jsonLines} {"word": TEXT, "env": ["NAME=VALUE"], "mode": "word"} gives {"ok": true, "result": TEXT}.`,
  args: [],
  flags: [],
})

export const debugIgnore = defineSpec({
  name: 'debug ignore',
  summary: 'show which paths a .dockerignore leaves out',
  description: `${jsonLines} {"file": TEXT, "paths": [PATH]} gives {"ok": true, "excluded": [BOOLEAN]}.`,
  args: [],
  flags: [],
})

export const debugLlb = defineSpec({
  name: 'debug llb',
  summary: "print the build graph as BuildKit's LLB, as JSON; nothing is run",
  args: [{ name: 'CONTEXT', summary: 'directory with the files of the build', required: true }],
  flags: [
    { name: 'file', char: 'f', kind: 'text', value: 'FILE', summary: 'the Dockerfile; default CONTEXT/Dockerfile' },
    { name: 'target', kind: 'text', value: 'STAGE', summary: 'stage to build; default the last' },
    { name: 'build-arg', kind: 'texts', value: 'NAME[=VALUE]', summary: 'value of an ARG' },
    { name: 'platform', kind: 'text', value: 'OS/ARCH', summary: 'platform of the image' },
    {
      name: 'output',
      char: 'o',
      kind: 'text',
      value: 'FILE',
      summary: 'write the graph as a pb.Definition, as buildctl reads it, instead',
    },
    ...registry,
    store,
  ],
})

/** Every command; the names that `tsbuild` knows. */
export const specs: readonly CommandSpec[] = [
  build,
  images,
  history,
  inspect,
  tag,
  rmi,
  pull,
  push,
  prune,
  info,
  debugParse,
  debugExpand,
  debugIgnore,
  debugLlb,
]
