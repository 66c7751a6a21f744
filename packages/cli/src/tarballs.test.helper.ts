import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkTool, findTool, type TemporaryDirectory } from '@ts-oci/testing'
import { startNpmRegistry } from './npm-registry.test.helper.ts'

const checkout = fileURLToPath(new URL('../../../', import.meta.url))
/** As a package comes behind those that it needs. */
export const packageNames = ['runtime', 'builder', 'cli'] as const

/** Less than the test waits: what hangs is ended by its own limit, and told. */
const NPM_LIMIT_MS = 80_000

export type Manifest = Readonly<Record<string, unknown>> & { readonly version: string }

/** The environment of a user who has Node, npm and a shell, and nothing else: no compiler, no git. */
export async function bareEnvironment(directory: TemporaryDirectory): Promise<NodeJS.ProcessEnv> {
  const bin = directory.join('bin')
  await mkdir(bin)
  await symlink(process.execPath, join(bin, 'node'))
  for (const tool of ['npm', 'npx', 'sh', 'env']) await symlink(findTool(tool) ?? tool, join(bin, tool))
  const { NODE_OPTIONS: _flags, ...inherited } = process.env
  // What an npm that started these tests says to its scripts is not for the npm below.
  const own = Object.entries(inherited).filter(([name]) => !name.startsWith('npm_'))
  return {
    ...Object.fromEntries(own),
    PATH: bin,
    npm_config_update_notifier: 'false',
    npm_config_cache: directory.join('npm-cache'),
    TSBUILD_HOME: directory.join('store'),
  }
}

/** Packs the three packages as they were compiled, with the native parts of this machine; returns their paths by name. */
export async function packPackages(dest: string): Promise<Readonly<Record<string, string>>> {
  const script = join(checkout, 'scripts', 'pack.mjs')
  await checkTool(process.execPath, [script, '--no-build', '--native', 'here', '--dest', dest], {
    limitMs: NPM_LIMIT_MS,
  })
  const entries = packageNames.map(async (name) => [name, join(dest, `ts-oci-${name}-${await versionOf(name)}.tgz`)])
  return Object.fromEntries(await Promise.all(entries)) as Record<string, string>
}

async function versionOf(name: string): Promise<string> {
  const text = await readFile(join(checkout, 'packages', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as Manifest).version
}

/** An empty project with the tarballs installed; their libraries are those of the checkout. */
export async function installPackages(
  project: string,
  tarballs: Readonly<Record<string, string>>,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  await mkdir(project, { recursive: true })
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  await using registry = await startNpmRegistry(checkout)
  const source = [`--registry=http://${registry.host}`, `--noproxy=127.0.0.1`]
  const words = ['install', ...source, '--no-audit', '--no-fund', ...Object.values(tarballs)]
  await checkTool('npm', words, { cwd: project, env, limitMs: NPM_LIMIT_MS })
}

/** Unpacks a tarball below `folder`; returns its files, relative to the package. */
export async function unpackTarball(file: string, folder: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true })
  await checkTool('tar', ['-xzf', file, '-C', folder, '--strip-components=1'])
  const listed = await checkTool('tar', ['-tzf', file])
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice('package/'.length))
}

/** The examples of a text in one language. */
export function examplesOf(text: string, language: string): readonly string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1] ?? '')
}

/** Puts a package of the checkout into a project, as if it were installed. */
export async function lend(project: string, name: string): Promise<void> {
  const target = join(project, 'node_modules', name)
  await mkdir(dirname(target), { recursive: true })
  await symlink(join(checkout, 'node_modules', name), target)
}
