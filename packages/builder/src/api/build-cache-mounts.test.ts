import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeWith } from '@ts-oci/testing'
import type { ProgressEvent } from '../base/progress.ts'
import type { BuildOptions, CacheOption } from '../build/public-types.ts'
import {
  cacheMounts,
  carriedCacheMounts,
  exportCacheMounts,
  importCacheMounts,
  removeCacheMounts,
} from './cache-mounts.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'

describeWith(buildNeeds, 'cache mounts that travel', () => {
  let world: BuildWorld
  let count = 0
  beforeAll(async () => {
    world = await makeBuildWorld()
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  interface Built {
    /** What `/out` of the last stage holds. */
    readonly out: string
    readonly warnings: readonly string[]
    readonly steps: readonly string[]
  }

  /** Builds with a store of its own, unless one is given. */
  async function buildFresh(steps: readonly string[], options: BuildOptions = {}): Promise<Built> {
    const lines = ['FROM $BASE AS made', ...steps, 'FROM scratch', 'COPY --from=made /out /', '']
    const context = await world.context(`carried-${count++}`, { Dockerfile: lines.join('\n') })
    const dest = world.directory.join(`out-${count}`)
    const warnings: string[] = []
    const names = new Set<string>()
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === 'warning') warnings.push(event.warning.message)
      if (event.type === 'vertex') names.add(event.name)
    }
    const store = world.directory.join(`store-${count}`)
    await world.build(context, { store, outputs: [{ type: 'local', dest }], onProgress, ...options })
    return { out: await readFile(join(dest, 'out'), 'utf8'), warnings, steps: [...names] }
  }
  const fresh = (name: string): string => world.directory.join(`${name}-${count++}`)
  const local = (dest: string): { readonly to: CacheOption; readonly from: CacheOption } => ({
    to: { type: 'local', dest, mounts: 'true' },
    from: { type: 'local', src: dest },
  })
  const MOUNT = '--mount=type=cache,target=/c'
  const write = (mount: string): string => `RUN ${mount} echo kept > /c/file && echo made > /out`
  const read = (mount: string): string => `RUN ${mount} cat /c/file > /out 2>&1 || true`

  test('what a step left in a cache mount is there for a step of another store, owners, modes, times and links', async () => {
    const make = `RUN ${MOUNT} cd /c && mkdir -m 1750 d && echo 1 > d/a && ln d/a d/b && ln -s d/a l && mkfifo p && \
      chown 7:8 d/a && chmod 4711 d/a && touch -d '2020-02-03 04:05:06' d/a && chmod 700 /c && chown 9:9 /c && \
      : > "d/$(printf 'n\\303\\251\\377')" && echo made > /out`
    const list = `RUN ${MOUNT} cd /c && stat -c '%n %F %a %u:%g %h %Y' . d d/a d/b l p d/n* > /out && readlink l >> /out`
    const expected = (await buildFresh([make, list])).out
    const { to, from } = local(fresh('all'))
    await buildFresh([make], { cacheTo: [to] })
    const { out, warnings } = await buildFresh([list], { cacheFrom: [from] })
    // Of the directory itself and of what was made in it at another time the time differs.
    const without = (text: string): string =>
      text.replaceAll(/ \d{10,}$/gm, (time) => (time === ' 1580702706' ? time : ''))
    expect(without(out)).toBe(without(expected))
    expect(out).toContain('d/a regular file 4711 7:8 2 1580702706')
    expect(warnings).toEqual([])
  })

  test('they go to a registry as well, and come from there', async () => {
    const ref = `${world.registry.host}/carried:cache`
    await buildFresh([write(MOUNT)], { cacheTo: [{ type: 'registry', ref, mounts: 'true', mode: 'max' }] })
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [{ type: 'registry', ref }] })).out).toBe('kept\n')
    const refused = { type: 'registry', ref, mounts: 'false' } as const
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [refused] })).out).toContain('No such file')
  })

  test('times keep their nanoseconds', async () => {
    const { to, from } = local(fresh('times'))
    const look = 'stat -c %y /c/a > /out'
    const { out } = await buildFresh([`RUN ${MOUNT} : > /c/a && ${look}`], { cacheTo: [to] })
    expect(out).not.toContain('.000000000')
    expect((await buildFresh([`RUN ${MOUNT} ${look}`], { cacheFrom: [from] })).out).toBe(out)
  })

  test('none is fetched for a step that is found, and the cache that is written has it on', async () => {
    const first = local(fresh('found'))
    await buildFresh([write(MOUNT)], { cacheTo: [{ ...first.to, mode: 'max' }] })
    const second = local(fresh('found'))
    const { steps } = await buildFresh([write(MOUNT)], { cacheFrom: [first.from], cacheTo: [second.to] })
    expect(steps.filter((name) => name.includes('importing cache mount'))).toEqual([])
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [second.from] })).out).toBe('kept\n')
  })

  test('what did not change is not written again', async () => {
    const dest = fresh('unchanged')
    const store = fresh('store')
    const { to } = local(dest)
    await buildFresh([write(MOUNT)], { store, cacheTo: [to] })
    const blobs = (): Record<string, number> =>
      Object.fromEntries(
        readdirSync(join(dest, 'blobs/sha256')).map((name) => [name, statSync(join(dest, 'blobs/sha256', name)).ino]),
      )
    const before = blobs()
    await buildFresh([`RUN ${MOUNT} cat /c/file > /out`], { store, cacheTo: [to] })
    const after = blobs()
    const mounts = Object.keys(before).filter((name) => readFileSync(join(dest, 'blobs/sha256', name))[0] === 0x28)
    expect(mounts).toHaveLength(1)
    expect(after[mounts[0]!]).toBe(before[mounts[0]!])
    expect(Object.keys(after).filter((name) => readFileSync(join(dest, 'blobs/sha256', name))[0] === 0x28)).toEqual(
      mounts,
    )
  })

  test.each([
    ['a private one', `${MOUNT},sharing=private`],
    ['one that a step with a secret has', `${MOUNT} --mount=type=secret,id=s,required=false`],
  ])('%s stays in its store, also when another step has it', async (_what, mount) => {
    const { to, from } = local(fresh('kept'))
    const store = fresh('store')
    await buildFresh([write(mount), `RUN ${MOUNT} true`], { store, cacheTo: [to] })
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [from] })).out).toContain('No such file')
    // A later build of the store, which does not have that step.
    await buildFresh([`RUN ${MOUNT} ls /c > /out`], { store, cacheTo: [to] })
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [from] })).out).toContain('No such file')
  })

  test('a mount of another owner is another one', async () => {
    const { to, from } = local(fresh('owner'))
    const mine = `${MOUNT},uid=7,gid=8,mode=0700`
    await buildFresh([write(mine)], { cacheTo: [to] })
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [from] })).out).toContain('No such file')
    expect((await buildFresh([read(mine)], { cacheFrom: [from] })).out).toBe('kept\n')
  })

  test('what is here is left as it is, and --no-cache begins with an empty one', async () => {
    const { to, from } = local(fresh('here'))
    await buildFresh([write(MOUNT)], { cacheTo: [to] })
    const store = fresh('store')
    await buildFresh([`RUN ${MOUNT} echo own > /c/file && echo > /out`], { store })
    expect((await buildFresh([read(MOUNT)], { store, cacheFrom: [from] })).out).toBe('own\n')
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [from], noCache: true })).out).toContain('No such file')
  })

  test('what is too large, or was not used for too long, stays', async () => {
    const dest = fresh('bounds')
    const big = `RUN ${MOUNT} dd if=/dev/zero of=/c/file bs=1M count=3 && echo > /out`
    const { from } = local(dest)
    const to: CacheOption = { type: 'local', dest, mounts: 'true', 'mounts-max-size': '2MB' }
    const { warnings } = await buildFresh([big], { cacheTo: [to] })
    expect(warnings.join()).toMatch(/cache mount \/\/c stays here: it is larger/)
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [from] })).out).toContain('No such file')
    await buildFresh([big], { cacheTo: [local(dest).to] })
    const small = await buildFresh([read(MOUNT)], { cacheFrom: [{ ...from, 'mounts-max-size': '1MB' }] })
    expect(small.out).toContain('No such file')
    expect(small.warnings.join()).toMatch(/begins empty: .* mounts-max-size/)
    const old = await buildFresh([read(MOUNT)], { cacheFrom: [{ ...from, 'mounts-max-age': '1ms' }] })
    expect(old.out).toContain('No such file')
  })

  test.each([
    ['is cut off', (path: string) => truncateSync(path, statSync(path).size - 1)],
    ['has other bytes', (path: string) => writeFileSync(path, Buffer.alloc(statSync(path).size, 1))],
    ['is gone', (path: string) => rmSync(path)],
  ])('a mount whose blob %s begins empty, with a warning', async (_what, damage) => {
    const dest = fresh('damaged')
    const { to, from } = local(dest)
    await buildFresh([write(MOUNT)], { cacheTo: [to] })
    for (const name of readdirSync(join(dest, 'blobs/sha256'))) {
      const path = join(dest, 'blobs/sha256', name)
      if (readFileSync(path)[0] === 0x28) damage(path)
    }
    const { out, warnings } = await buildFresh([read(MOUNT)], { cacheFrom: [from] })
    expect(out).toContain('No such file')
    expect(warnings.join()).toMatch(/cache mount \/\/c of .* could not be had and begins empty/)
  })

  test('of two caches the first that was named counts', async () => {
    const [a, b] = [local(fresh('a')), local(fresh('b'))]
    for (const [text, { to }] of [['one', a] as const, ['two', b] as const])
      await buildFresh([`RUN ${MOUNT} echo ${text} > /c/file && echo > /out`], { cacheTo: [to] })
    expect((await buildFresh([read(MOUNT)], { cacheFrom: [b.from, a.from] })).out).toBe('two\n')
  })

  test('are listed, written, brought and removed by name, without a build', async () => {
    const [store, other] = [fresh('store'), fresh('store')]
    await buildFresh([write(MOUNT), `RUN ${MOUNT.replaceAll('/c', '/p')},sharing=private true`], { store })
    const listed = await cacheMounts({ store })
    expect(listed.map(({ id, isKept, sizeBytes }) => [id, isKept, sizeBytes])).toEqual(
      expect.arrayContaining([
        ['//c', false, 'kept\n'.length],
        ['//p', true, 0],
      ]),
    )
    const place = { type: 'local', src: fresh('own') } as const
    expect(await exportCacheMounts([], { type: 'local', dest: place.src }, { store })).toEqual(['//c'])
    expect((await carriedCacheMounts(place, { store: other })).map(({ id }) => id)).toEqual(['//c'])
    expect(await importCacheMounts([], place, { store: other })).toEqual(['//c'])
    // What is here stays as it is.
    expect(await importCacheMounts([], place, { store: other })).toEqual([])
    expect((await buildFresh([read(MOUNT)], { store: other })).out).toBe('kept\n')
    await removeCacheMounts(['//c'], { store: other })
    expect(await cacheMounts({ store: other })).toEqual([])
    await expect(removeCacheMounts(['//c'], { store: other })).rejects.toMatchObject({ code: 'OCI_OPTION_INVALID' })
  })

  test('what is said of mounts is checked before anything is built', async () => {
    const refusals = [
      [{ type: 'inline', mounts: 'true' }, 'no cache mounts fit into an image'],
      [{ type: 'local', dest: 'x', mounts: 'some' }, 'true or false expected'],
      [{ type: 'local', dest: 'x', 'mounts-max-size': '10%' }, 'a size such as 500MB expected'],
      [{ type: 'local', dest: 'x', 'mounts-max-age': '2020-01-01' }, 'a time such as 72h expected'],
    ] as const
    for (const [option, message] of refusals)
      await expect(buildFresh(['RUN true'], { cacheTo: [option as CacheOption] })).rejects.toMatchObject({
        message: expect.stringContaining(message),
      })
  })
})
