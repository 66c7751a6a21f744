import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { checkTool, describeWith, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { build } from './build.ts'
import type { BuildOptions } from '../build/public-types.ts'

describeWith(['git'], 'a miss in another clone', () => {
  let directory: TemporaryDirectory
  beforeAll(async () => {
    directory = await temporaryDirectory()
    const git = (...args: string[]): Promise<string> =>
      checkTool('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', '-C', directory.join('origin'), ...args])
    await mkdir(directory.join('origin'))
    await writeFile(directory.join('origin/Dockerfile'), 'FROM scratch AS app\nCOPY src /src\n')
    await mkdir(directory.join('origin/src'))
    await writeFile(directory.join('origin/src/app.js'), 'one\n')
    await writeFile(directory.join('origin/src/same.js'), 'same\n')
    await git('init', '-q')
    await git('add', '.')
    await git('commit', '-q', '-m', 'one')
  })
  afterAll(async () => {
    await directory?.[Symbol.asyncDispose]()
  })

  async function reasonsOf(clone: string, more: BuildOptions = {}): Promise<readonly (string | undefined)[]> {
    const result = await build({ context: directory.join(clone), store: directory.join('store'), ...more })
    return result.vertices.filter(({ name }) => name.includes('COPY')).map(({ missReason }) => missReason)
  }

  test('names the file that changed since the last build of the repository', async () => {
    await checkTool('git', ['clone', '-q', directory.join('origin'), directory.join('first')])
    expect(await reasonsOf('first')).toEqual([undefined])
    await checkTool('git', ['clone', '-q', directory.join('origin'), directory.join('second')])
    await writeFile(directory.join('second/src/app.js'), 'two\n')
    // Another Dockerfile: the repository alone says that it is the same project.
    await writeFile(directory.join('second/Dockerfile'), 'FROM scratch AS app\n# words\nCOPY src /src\n')
    expect(await reasonsOf('second')).toEqual(['src/app.js changed'])
    await chmod(directory.join('second/src/app.js'), 0o755)
    expect(await reasonsOf('second')).toEqual(['mode of src/app.js changed from 0644 to 0755'])
  })

  test('is explained without a repository by the text of the Dockerfile, or by the name of the image', async () => {
    const write = async (name: string, dockerfile: string, text: string): Promise<void> => {
      await mkdir(directory.join(name, 'src'), { recursive: true })
      await writeFile(directory.join(name, 'Dockerfile'), dockerfile)
      await writeFile(directory.join(name, 'src/lone.js'), text)
    }
    const dockerfile = 'FROM scratch AS lone\nCOPY src /lone\n'
    await write('lone-1', dockerfile, 'one\n')
    await write('lone-2', dockerfile, 'two\n')
    await write('lone-3', `${dockerfile}LABEL a=b\n`, 'three\n')
    expect(await reasonsOf('lone-1')).toEqual([undefined])
    expect(await reasonsOf('lone-2', { tags: ['lone:2'] })).toEqual(['src/lone.js changed'])
    expect(await reasonsOf('lone-3', { tags: ['lone:3'] })).toEqual(['src/lone.js changed'])
  })
})
