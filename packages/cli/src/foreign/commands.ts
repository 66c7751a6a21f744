/** A command of Docker, Podman or buildah that goes by another name here, or is not there. One row a command. */
export interface ForeignCommand {
  /** As typed behind `docker`; what is longer counts before what is shorter. */
  readonly name: string
  /** Our words that do the same; the rest of the line follows them. */
  readonly as?: readonly string[]
  /** What to use instead. */
  readonly use?: string
}

const runElsewhere =
  'tsbuild builds images and runs none yet: podman or docker run what --push or -o type=docker,dest=FILE gives them'
const noContainers = 'tsbuild keeps no containers, so there are none to ask about or to change'
const noNetworks = 'tsbuild keeps no networks: --network of build says what RUN reaches'
const noVolumes =
  'tsbuild keeps no volumes: RUN --mount=type=cache keeps a directory between builds, and tsbuild prune removes it'
const noCompose = 'tsbuild builds one image a call: tsbuild -t NAME -f FILE CONTEXT for each service'
const noBuilders = 'there are no builder instances: the build runs in this process'
const oneBuilder = `leave it out: ${noBuilders}; tsbuild buildx ls shows it`
const noProxy = 'programs in @ts-oci/builder call build; there is no daemon behind a socket'
const noDaemon = 'there is no daemon to speak to'
const workingContainers = 'write it into a Dockerfile, or use @ts-oci/builder from TypeScript'
const history = 'tsbuild build --metadata-file FILE keeps what there is to say of a build'

/** Loaded only when the first word of a command line is none of ours. */
export const foreignCommands: readonly ForeignCommand[] = [
  // Ours under another name.
  { name: 'bud', as: ['build'] },
  { name: 'build-using-dockerfile', as: ['build'] },
  { name: 'builder build', as: ['build'] },
  { name: 'builder inspect', as: ['buildx', 'inspect'] },
  { name: 'builder ls', as: ['buildx', 'ls'] },
  { name: 'builder prune', as: ['prune'] },
  { name: 'buildx b', as: ['build'] },
  { name: 'buildx build', as: ['build'] },
  { name: 'buildx du', as: ['du'] },
  { name: 'buildx prune', as: ['prune'] },
  { name: 'buildx version', as: ['--version'] },
  { name: 'image build', as: ['build'] },
  { name: 'image history', as: ['history'] },
  { name: 'image inspect', as: ['inspect'] },
  { name: 'image import', as: ['import'] },
  { name: 'image list', as: ['images'] },
  { name: 'image load', as: ['load'] },
  { name: 'image ls', as: ['images'] },
  { name: 'image pull', as: ['pull'] },
  { name: 'image push', as: ['push'] },
  { name: 'image remove', as: ['rmi'] },
  { name: 'image rm', as: ['rmi'] },
  { name: 'image save', as: ['save'] },
  { name: 'image tag', as: ['tag'] },
  { name: 'image search', as: ['search'] },
  { name: 'system info', as: ['info'] },
  { name: 'version', as: ['--version'] },
  // Images.
  { name: 'image', use: 'tsbuild images, history, inspect, tag, rmi, pull and push have names of their own' },
  { name: 'ls', use: 'did you mean tsbuild images?' },
  { name: 'mkcw', use: 'confidential workloads are not supported' },
  { name: 'source', use: 'source images are not supported' },
  { name: 'trust', use: 'signatures are not supported: pin bases by digest' },
  { name: 'untag', use: 'tsbuild rmi NAME removes a name, and the image with its last one' },
  // Registries.
  // The build cache and its builders.
  { name: 'bake', use: noCompose },
  { name: 'builder', use: `tsbuild prune removes the build cache; ${noBuilders}` },
  { name: 'buildx bake', use: noCompose },
  { name: 'buildx history', use: history },
  { name: 'buildx imagetools create', as: ['imagetools', 'create'] },
  { name: 'buildx imagetools inspect', as: ['imagetools', 'inspect'] },
  { name: 'buildx imagetools', use: 'tsbuild imagetools create joins images, tsbuild imagetools inspect shows one' },
  { name: 'buildx create', use: oneBuilder },
  { name: 'buildx dap', use: noProxy },
  { name: 'buildx debug', use: 'tsbuild --progress=plain shows all that steps write' },
  { name: 'buildx dial-stdio', use: noProxy },
  { name: 'buildx install', use: 'a link named buildah, podman or executor makes tsbuild read their words' },
  { name: 'buildx policy', use: 'pin bases by digest: policies are not supported' },
  { name: 'buildx rm', use: oneBuilder },
  { name: 'buildx stop', use: oneBuilder },
  { name: 'buildx uninstall', use: oneBuilder },
  { name: 'buildx use', use: oneBuilder },
  { name: 'buildx', use: `tsbuild build builds; ${noBuilders}` },
  // Containers.
  { name: 'attach', use: noContainers },
  { name: 'commit', use: `${workingContainers}: every change is a RUN` },
  { name: 'container prune', use: noContainers },
  { name: 'container run', use: runElsewhere },
  { name: 'container create', use: runElsewhere },
  { name: 'container', use: noContainers },
  { name: 'containers', use: noContainers },
  { name: 'cp', use: 'tsbuild -o DIR CONTEXT writes the files of an image into a directory' },
  { name: 'create', use: runElsewhere },
  { name: 'diff', use: noContainers },
  { name: 'events', use: 'tsbuild --progress=rawjson tells all that happens in a build' },
  { name: 'exec', use: runElsewhere },
  { name: 'kill', use: noContainers },
  { name: 'logs', use: noContainers },
  { name: 'pause', use: noContainers },
  { name: 'pod', use: runElsewhere },
  { name: 'port', use: noContainers },
  { name: 'ps', use: noContainers },
  { name: 'rename', use: `${noContainers}; tsbuild tag gives an image a further name` },
  { name: 'restart', use: noContainers },
  { name: 'rm', use: `did you mean tsbuild rmi? ${noContainers}` },
  { name: 'run', use: runElsewhere },
  { name: 'start', use: runElsewhere },
  { name: 'stats', use: noContainers },
  { name: 'stop', use: noContainers },
  { name: 'top', use: noContainers },
  { name: 'unpause', use: noContainers },
  { name: 'update', use: noContainers },
  { name: 'wait', use: noContainers },
  // Buildah's working containers.
  { name: 'add', use: `${workingContainers}: ADD` },
  { name: 'config', use: `${workingContainers}: ENV, LABEL, CMD and their kin` },
  { name: 'from', use: `${workingContainers}: FROM` },
  { name: 'mount', use: 'tsbuild -o DIR CONTEXT writes the files of an image into a directory' },
  { name: 'umount', use: noContainers },
  { name: 'unmount', use: noContainers },
  { name: 'unshare', use: 'tsbuild needs no unshare: it makes its namespaces itself' },
  // What stands beside containers.
  { name: 'compose', use: noCompose },
  { name: 'network', use: noNetworks },
  { name: 'secret', use: '--secret id=ID,src=FILE of build gives RUN --mount=type=secret a file' },
  { name: 'volume prune', use: 'tsbuild prune removes cache mounts' },
  { name: 'volume', use: noVolumes },
  // The daemon and the machine.
  { name: 'context', use: noDaemon },
  { name: 'machine', use: noDaemon },
  { name: 'plugin', use: noDaemon },
  { name: 'swarm', use: noDaemon },
  { name: 'system', use: 'tsbuild prune removes the build cache; tsbuild info tells about this machine' },
]
