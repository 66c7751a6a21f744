import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  checkTool,
  describeWith,
  makeBusyboxRoot,
  mountSmallDisk,
  pushBase,
  tarOfDirectory,
  writeImageLayout,
} from '@ts-oci/testing'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'

/** A member of a tar, its header made by hand (POSIX.1-1988, ustar): whatever a name says. */
function member(
  name: string,
  more: { readonly type?: string; readonly link?: string; readonly data?: string } = {},
): Buffer {
  const { type = '0', link = '', data = '' } = more
  const header = Buffer.alloc(512)
  const put = (text: string, at: number): void => void header.write(text, at, 'latin1')
  put(name, 0)
  put('0000644\0', 100)
  put('0000000\0', 108)
  put('0000000\0', 116)
  put(`${data.length.toString(8).padStart(11, '0')}\0`, 124)
  put('00000000001\0', 136)
  put('        ', 148)
  put(type, 156)
  put(link, 157)
  put('ustar\0' + '00', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const body = Buffer.alloc(Math.ceil(data.length / 512) * 512)
  body.write(data)
  return Buffer.concat([header, body])
}

const end = Buffer.alloc(1024)

describeWith(buildNeeds, 'hostile input', () => {
  let world: BuildWorld
  /** A directory of the host that nothing may touch. */
  let outside: string
  beforeAll(async () => {
    world = await makeBuildWorld()
    outside = world.directory.join('outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'secret'), 'secret of the host\n')
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  function expectUntouched(): void {
    expect(readdirSync(outside)).toEqual(['secret'])
    expect(statSync(join(outside, 'secret')).nlink).toBe(1)
  }

  async function pushLayers(name: string, layers: readonly Buffer[]): Promise<string> {
    const root = world.directory.join(`${name}-root`)
    mkdirSync(root)
    await makeBusyboxRoot(root)
    const layout = world.directory.join(`${name}-layout`)
    await writeImageLayout(layout, { layers: [await tarOfDirectory(root), ...layers], config: {} })
    return pushBase({ layout }, world.registry, `${name}:1`)
  }

  describe('a base image', () => {
    test('whose links lead to the root, to the host and up: everything stays inside', async () => {
      const links = Buffer.concat([
        member('app', { type: '2', link: '/' }),
        member('abs', { type: '2', link: '/etc' }),
        member('up', { type: '2', link: `../../../../../../..${outside}` }),
        member('host', { type: '2', link: outside }),
        member('again', { type: '2', link: '/' }),
        member('host-again', { type: '2', link: outside }),
        end,
      ])
      const through = Buffer.concat([
        member('again/through', { data: 'x' }),
        member('host-again/planted', { data: 'x' }),

        end,
      ])
      const base = await pushLayers('links', [links, through])
      const context = await world.context('links', {
        Dockerfile: `FROM ${base}
COPY f /app/copied
COPY f /abs/copied
COPY f /host/copied
COPY f /up/deep/copied
ADD archive.tar /host/
WORKDIR /host/work
RUN test -e /copied && test -e /etc/copied && test -e ${outside}/copied && test -e ${outside}/deep/copied && test -e ${outside}/member && test ! -e ${outside}/secret && pwd > /where && grep ${outside}/work /where
RUN --mount=type=cache,target=/host/cache --mount=type=tmpfs,target=/up/tmp echo x > /host/written && echo y > /host/cache/z
`,
        f: 'f\n',
        'archive.tar': Buffer.concat([member('member', { data: 'm' }), end]),
      })
      await world.build(context)
      expectUntouched()
      expect(existsSync('/through') || existsSync('/copied')).toBe(false)
    })

    test('whose link leads to itself is an error of the COPY that follows it', async () => {
      const base = await pushLayers('loop', [Buffer.concat([member('loop', { type: '2', link: 'loop' }), end])])
      const context = await world.context('loop', { Dockerfile: `FROM ${base}\nCOPY f /loop/x\n`, f: 'f\n' })
      await expect(world.build(context)).rejects.toMatchObject({
        code: expect.stringMatching(/^OCI_/),
        location: { startLine: 2 },
      })
    })

    test.each([
      ['climbing', [member('../../../../../../../tmp/ts-oci-climbed', { data: 'x' })]],
      ['a hard link to the host', [member('hard', { type: '1', link: '../../../../../../../etc/hostname' })]],
      [
        'a hard link through a link',
        [member('s', { type: '2', link: '/' }), member('hard', { type: '1', link: 's/etc/hostname' })],
      ],
      ['a whiteout of the parent', [member('.wh...', {})]],
      ['a whiteout of nothing', [member('.wh.', {})]],
      ['a file where its parent is a file', [member('file', { data: 'x' }), member('file/below', { data: 'y' })]],
    ])('with an entry of this kind stays inside or is refused: %s', async (name, members) => {
      const base = await pushLayers(name.replaceAll(' ', '-'), [Buffer.concat([...members, end])])
      const context = await world.context('entry', { Dockerfile: `FROM ${base}\nRUN true\n` })
      const failure = await world.build(context).then(
        () => undefined,
        (error: unknown) => error as { readonly code: string },
      )
      if (failure !== undefined) expect(failure).toMatchObject({ code: 'OCI_LAYER_INVALID' })
      expect(existsSync('/tmp/ts-oci-climbed')).toBe(false)
      expectUntouched()
    })

    test('whose layer is cut off in the middle of its tar is refused', async () => {
      const base = await pushLayers('cut', [member('whole', { data: 'x'.repeat(5000) }).subarray(0, 2000)])
      const context = await world.context('entry', { Dockerfile: `FROM ${base}\nRUN true\n` })
      await expect(world.build(context)).rejects.toMatchObject({ code: 'OCI_LAYER_INVALID' })
    })
  })

  describe('an archive for ADD', () => {
    const hostile: readonly (readonly [string, () => readonly Buffer[]])[] = [
      ['climbs', () => [member('../../../../climbed', { data: 'x' })]],
      [
        'writes through its own link',
        () => [member('s', { type: '2', link: outside }), member('s/planted', { data: 'x' })],
      ],
      ['links to the host', () => [member('hard', { type: '1', link: '../../../../../etc/hostname' })]],
    ]
    test.each(hostile)('that %s stays inside or is refused', async (_name, members) => {
      const archive = Buffer.concat([...members(), end])
      const context = await world.context('archive', {
        Dockerfile: 'FROM $BASE\nADD a.tar /in/\nRUN test ! -e /in/hard\n',
        'a.tar': archive,
      })
      const failure = await world.build(context).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure !== undefined)
        expect(failure).toMatchObject({ code: 'OCI_ARCHIVE_INVALID', location: { startLine: 2 } })
      expectUntouched()
    })

    test('that is a bomb fills no more than the disk, and the error says so', async () => {
      await using disk = await mountSmallDisk(48 * 1024 * 1024)
      const bomb = gzipSync(Buffer.concat([member('zeros', { data: 'z'.repeat(200_000_000) }), end]))
      expect(bomb.length).toBeLessThan(1_000_000)
      const context = await world.context('bomb', {
        Dockerfile: 'FROM $BASE\nADD bomb.tar.gz /\n',
        'bomb.tar.gz': bomb,
      })
      const store = join(disk.path, 'store')
      await expect(world.build(context, { store })).rejects.toMatchObject({
        code: 'OCI_STORE_FULL',
        location: { startLine: 2 },
      })
      expect(readdirSync(join(store, 'tmp'))).toEqual([])
    })

    test('that is damaged in the middle is refused by name', async () => {
      const archive = gzipSync(
        Buffer.concat([member('f', { data: randomBytes(50_000).toString('hex') }), end]),
      ).subarray(0, 20_000)
      const context = await world.context('damaged', {
        Dockerfile: 'FROM $BASE\nADD a.tar.gz /in/\n',
        'a.tar.gz': archive,
      })
      await expect(world.build(context)).rejects.toMatchObject({
        code: 'OCI_ARCHIVE_INVALID',
        location: { startLine: 2 },
      })
    })
  })

  describe('a context', () => {
    test('with sockets, fifos, devices, the longest names and names that are no text', async () => {
      const context = await world.context('odd', { 'd/plain': 'x\n' })
      const inside = join(context, 'd')
      await checkTool('mkfifo', [join(inside, 'fifo')])
      await checkTool('mknod', [join(inside, 'device'), 'c', '1', '3'])
      writeFileSync(join(inside, 'n'.repeat(255)), 'long')
      writeFileSync(Buffer.concat([Buffer.from(`${inside}/`), Buffer.from([0xff, 0xfe, 0x0a, 0x22])]), 'bytes')
      const server = createServer().listen(join(inside, 'socket'))
      try {
        // As BuildKit: a socket becomes an empty file.
        const long = 'n'.repeat(255)
        await world.context('odd', {
          Dockerfile: `FROM $BASE\nCOPY d /d\nRUN test $(ls -A /d | wc -l) = 6 && test -p /d/fifo && test -c /d/device && test -s /d/${long} && test -f /d/socket && test ! -s /d/socket && test -s "$(printf '/d/\\377\\376\\n"')"\n`,
        })
        await world.build(context)
      } finally {
        server.close()
      }
    })

    test('that is a symlink, and one that links to the host', async () => {
      const context = await world.context('linked', {
        Dockerfile: 'FROM $BASE\nCOPY f /f\nCOPY out /out\nRUN test -L /out/secret && test ! -e /out/secret\n',
        f: 'f\n',
      })
      mkdirSync(join(context, 'out'))
      symlinkSync(join(outside, 'secret'), join(context, 'out/secret'))
      symlinkSync(context, world.directory.join('alias'))
      await world.build(world.directory.join('alias'))
      symlinkSync(join(outside, 'secret'), join(context, 'stolen'))
      for (const source of ['stolen', 'out/secret', '../outside/secret']) {
        await world.context('linked', { Dockerfile: `FROM $BASE\nCOPY ${source} /x\n` })
        await expect(world.build(context)).rejects.toMatchObject({ code: 'OCI_COPY_SOURCE_NOT_FOUND' })
      }
    })

    test('whose file changes after it was hashed is an error that says so', async () => {
      const context = await world.context('changing', { Dockerfile: 'FROM $BASE\nCOPY f /f\n', f: 'before\n' })
      const building = world.build(context, {
        onProgress: (event) => {
          if (
            event.type === 'vertex' &&
            event.name.includes('COPY f') &&
            event.startedMs !== undefined &&
            event.completedMs === undefined
          )
            writeFileSync(join(context, 'f'), 'after, and longer\n')
        },
      })
      await expect(building).rejects.toMatchObject({
        code: 'OCI_CONTEXT_CHANGED',
        message: expect.stringContaining('"f"'),
        location: { startLine: 2 },
        hint: expect.any(String),
      })
      await world.build(context)
    })

    test.each(['mkfifo', 'mkdir'])('whose Dockerfile is none (%s): told at once, and nobody waits', async (tool) => {
      const context = await world.context(`none-${tool}`, { f: 'f\n' })
      await checkTool(tool, [join(context, 'odd')])
      await expect(world.build(context, { file: join(context, 'odd') })).rejects.toMatchObject({
        code: 'OCI_DOCKERFILE_NOT_FOUND',
      })
    })

    test('with a Dockerfile of bytes that are no text', async () => {
      const context = await world.context('binary', {
        Dockerfile: Buffer.from([0x46, 0x52, 0x4f, 0x4d, 0xff, 0x00, 0xfe, 0x0a]),
      })
      await expect(world.build(context)).rejects.toMatchObject({ code: expect.stringMatching(/^OCI_/) })
    })
  })
})
