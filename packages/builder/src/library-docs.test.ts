import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from '@jest/globals'
import { makeBusyboxBase, pushBase, runTool, startRegistry, temporaryDirectory, testWith } from '@ts-oci/testing'

const root = fileURLToPath(new URL('../../../', import.meta.url))

testWith(
  ['root', 'docker-registry', 'skopeo', 'busybox', 'tar'],
  'the examples of docs/library.md run',
  async () => {
    await using directory = await temporaryDirectory()
    await using registry = await startRegistry()
    await pushBase(await makeBusyboxBase(directory.join('layout')), registry, 'busybox:1')
    await prepare(directory.path, registry.host)
    const text = await readFile(`${root}docs/library.md`, 'utf8')
    const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? '')
    expect(examples.length).toBeGreaterThan(8)
    for (const [index, example] of examples.entries()) {
      const file = directory.join(`example-${index}.ts`)
      await writeFile(file, example.replaceAll('localhost:5000', registry.host))
      const env = { PATH: process.env['PATH'], HOME: directory.path, TSBUILD_HOME: directory.join('store') }
      const result = await runTool(
        process.execPath,
        ['--conditions=@ts-oci/source', '--disable-warning=ExperimentalWarning', file],
        { cwd: directory.path, env },
      )
      expect({ example, ...result }).toMatchObject({ example, status: 0 })
    }
  },
  300_000,
)

async function prepare(directory: string, host: string): Promise<void> {
  await symlink(`${root}node_modules`, `${directory}/node_modules`)
  await writeFile(`${directory}/package.json`, '{"type":"module"}')
  await mkdir(`${directory}/app`)
  await writeFile(`${directory}/app/main.txt`, 'main\n')
  const dockerfile = [
    `FROM ${host}/busybox:1 AS final`,
    'ARG WHO=nobody',
    'COPY app /app/',
    'RUN --mount=type=secret,id=token echo hello $WHO > /app/hello',
    '',
  ]
  await writeFile(`${directory}/Dockerfile`, dockerfile.join('\n'))
  await writeFile(`${directory}/.dockerignore`, 'node_modules\nstore\nlayout\nexample-*\n')
}
