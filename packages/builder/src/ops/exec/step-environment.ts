import { BuilderError } from '../../base/errors.ts'
import type { ExecSpec } from '../../graph/op-specs.ts'

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

interface StepVariables {
  /** `NAME=value`, as the next. */
  readonly secrets: readonly string[]
  /** Of the user, where nothing says otherwise. */
  readonly home: string
  /** What its devices set. */
  readonly devices: readonly string[]
}

/** PATH and HOME are filled in as BuildKit and runc do; proxies come after the image's own variables. */
export function stepEnvironment(spec: ExecSpec, { secrets, home, devices }: StepVariables): readonly string[] {
  // As runc, which fills in HOME where it is empty too.
  const env = spec.meta.env.filter((entry) => entry !== 'HOME=')
  if (env.some((entry) => entry === '' || entry.startsWith('=')))
    throw new BuilderError('OCI_STEP_FAILED', 'invalid environment variable: name cannot be empty', {
      hint: 'the config of the base image has such an entry in Env',
    })
  const add = (name: string, value: string): void => {
    if (!env.some((entry) => entry.startsWith(`${name}=`))) env.push(`${name}=${value}`)
  }
  const proxies = spec.meta.proxyEnv
  if (proxies) {
    for (const [name, value] of [
      ['HTTP_PROXY', proxies.httpProxy],
      ['HTTPS_PROXY', proxies.httpsProxy],
      ['FTP_PROXY', proxies.ftpProxy],
      ['NO_PROXY', proxies.noProxy],
      ['ALL_PROXY', proxies.allProxy],
    ] as const) {
      if (value === '') continue
      add(name, value)
      add(name.toLowerCase(), value)
    }
  }
  env.push(...secrets)
  add('PATH', DEFAULT_PATH)
  add('HOME', home)
  for (const entry of devices) setVariable(env, entry)
  return env
}

/** As a runtime specification is edited: one of that name is replaced where it stands. */
function setVariable(env: string[], entry: string): void {
  const name = entry.slice(0, entry.indexOf('=') + 1)
  const at = env.findLastIndex((other) => other.startsWith(name))
  if (at === -1) env.push(entry)
  else env[at] = entry
}
