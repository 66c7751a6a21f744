import { nonEmpty, sortedMap } from './go-json.ts'

type Members = Readonly<Record<string, unknown>>

/**
 * The config of an image with the members of image-spec's Go type, in its order: what programs print that read one by that
 * type. What is empty there is left out.
 */
export function orderConfig(config: Members): Members {
  const rootfs = membersOf(config['rootfs'])
  return {
    created: config['created'],
    author: nonBlank(config['author']),
    architecture: config['architecture'] ?? '',
    os: config['os'] ?? '',
    'os.version': nonBlank(config['os.version']),
    'os.features': listOf(config['os.features']),
    variant: nonBlank(config['variant']),
    config: orderRuntime(membersOf(config['config'])),
    rootfs: { type: rootfs['type'] ?? '', diff_ids: rootfs['diff_ids'] ?? null },
    history: listOf(config['history'])?.map((entry) => orderHistory(membersOf(entry))),
  }
}

function orderRuntime(config: Members): Members {
  return {
    User: nonBlank(config['User']),
    ExposedPorts: mapOf(config['ExposedPorts']),
    Env: listOf(config['Env']),
    Entrypoint: listOf(config['Entrypoint']),
    Cmd: listOf(config['Cmd']),
    Volumes: mapOf(config['Volumes']),
    WorkingDir: nonBlank(config['WorkingDir']),
    Labels: mapOf(config['Labels']),
    StopSignal: nonBlank(config['StopSignal']),
    ArgsEscaped: config['ArgsEscaped'] === true ? true : undefined,
  }
}

function orderHistory(entry: Members): Members {
  return {
    created: entry['created'],
    created_by: nonBlank(entry['created_by']),
    author: nonBlank(entry['author']),
    comment: nonBlank(entry['comment']),
    empty_layer: entry['empty_layer'] === true ? true : undefined,
  }
}

function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {}
}

function nonBlank(value: unknown): unknown {
  return value === '' ? undefined : value
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? nonEmpty(value as readonly unknown[]) : undefined
}

function mapOf(value: unknown): Members | undefined {
  return sortedMap(membersOf(value))
}
