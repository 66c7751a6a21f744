import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { checkTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { contentChunks } from '../../disk/file-bytes.ts'
import type { LayerEntry, View, ViewEntry } from '../../view/types.ts'
import { createChainView } from '../../view/view.ts'
import type {
  FileAction,
  FileActionCopy,
  FileActionMkdir,
  FileActionMkfile,
  FileActionRm,
  FileActionSymlink,
} from '../../graph/op-specs.ts'
import { applyFileSpec } from './apply.ts'
import { type FileOpContext } from './context.ts'
import { formatListing, NOW_MS, parseListing, viewOfListing } from './listing.test.helper.ts'

const context: FileOpContext = {
  nowMs: NOW_MS,
  temporaryDirectory: '/nonexistent',
  readFile: async (entry: ViewEntry) => (entry.content?.kind === 'inline' ? entry.content.bytes : new Uint8Array()),
}

type Action = FileAction['action']

/** One action after the other on the first input; copies read the second. */
async function run(
  inputs: readonly View[],
  actions: readonly Action[],
  overrides: Partial<FileOpContext> = {},
  base = 0,
): Promise<LayerEntry[]> {
  const list = actions.map((action, index): FileAction => ({
    input: index === 0 ? base : inputs.length + index - 1,
    secondaryInput: action.kind === 'copy' ? 1 : -1,
    output: index === actions.length - 1 ? 0 : -1,
    action,
  }))
  return applyFileSpec({ kind: 'file', actions: list }, inputs, { ...context, ...overrides })
}

const copy = (src: string, dest: string, more: Partial<FileActionCopy> = {}): FileActionCopy => ({
  kind: 'copy',
  src,
  dest,
  mode: -1,
  modeStr: '',
  followSymlink: true,
  dirCopyContents: true,
  attemptUnpackDockerCompatibility: false,
  createDestPath: true,
  allowWildcard: true,
  allowEmptyWildcard: true,
  timestamp: -1,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  ...more,
})
const mkfile = (path: string, text: string, more: Partial<FileActionMkfile> = {}): FileActionMkfile => ({
  kind: 'mkfile',
  path,
  mode: 0o644,
  data: Buffer.from(text),
  timestamp: -1,
  ...more,
})
const mkdir = (path: string, more: Partial<FileActionMkdir> = {}): FileActionMkdir => ({
  kind: 'mkdir',
  path,
  mode: 0o755,
  makeParents: false,
  timestamp: -1,
  ...more,
})
const rm = (path: string, more: Partial<FileActionRm> = {}): FileActionRm => ({
  kind: 'rm',
  path,
  allowNotFound: false,
  allowWildcard: false,
  ...more,
})
const symlink = (oldpath: string, newpath: string): FileActionSymlink => ({
  kind: 'symlink',
  oldpath,
  newpath,
  timestamp: -1,
})

const scratch = createChainView([])
const base = viewOfListing(`
  d 755 0:0 0 1000 a
  f 640 5:6 0 1000 a/file = old
  l 777 0:0 0 1000 a/link -> ../b/target
  d 755 0:0 0 1000 b
  f 644 0:0 0 1000 b/1.txt = 1
  f 644 0:0 0 1000 b/2.txt = 2
  f 644 0:0 0 1000 b/3.md = 3
`)

describe('mkfile', () => {
  test('makes a file of the given mode, owner and content now', async () => {
    const [entry] = await run([scratch], [mkfile('/x', 'hello', { mode: 0o600, owner: { user: { id: 3 } } })])
    expect(formatListing([entry!])).toEqual(['f 600 3:3 5 now x'])
    expect(entry!.content).toEqual({ kind: 'inline', bytes: Buffer.from('hello') })
  })
  test('writes into an existing file as a shell does: mode and owner stay', async () => {
    expect(formatListing(await run([base], [mkfile('/a/file', 'newer')]))).toEqual([
      'd 755 0:0 0 1000 a',
      'f 640 5:6 5 now a/file',
    ])
  })
  test('follows a link to a file that is not there yet', async () => {
    expect(formatListing(await run([base], [mkfile('/a/link', 'x')]))).toEqual([
      'd 755 0:0 0 now b',
      'f 644 0:0 1 now b/target',
    ])
  })
  test('needs its directory', async () => {
    await expect(run([base], [mkfile('/no/x', '')])).rejects.toMatchObject({
      code: 'OCI_FILE_OP_FAILED',
      message: 'open /no/x: no such file or directory',
    })
    await expect(run([base], [mkfile('/a', '')])).rejects.toMatchObject({ message: 'open /a: is a directory' })
  })
})

describe('mkdir', () => {
  // As BuildKit (observed with SOURCE_DATE_EPOCH): what is made in a parent afterwards sets its time again.
  test('makes parents of the same mode and owner; the last has the time that is asked for', async () => {
    const entries = await run(
      [base],
      [mkdir('/a/x/y', { mode: 0o700, makeParents: true, owner: { user: { id: 4 } }, timestamp: 77_000_000_000 })],
    )
    expect(formatListing(entries)).toEqual(['d 755 0:0 0 now a', 'd 700 4:4 0 now a/x', 'd 700 4:4 0 77 a/x/y'])
  })
  test('is content with what is there', async () => {
    expect(await run([base], [mkdir('/a'), mkdir('/b', { mode: 0o700, makeParents: true })])).toEqual([])
  })
  test('refuses a file in its way', async () => {
    await expect(run([base], [mkdir('/a/file/x', { makeParents: true })])).rejects.toMatchObject({
      message: 'lstat /a/file/x: not a directory',
    })
  })
})

describe('rm', () => {
  test('removes a tree by one whiteout', async () => {
    expect(formatListing(await run([base], [rm('/b')]))).toEqual(['w 0 0:0 0 0 b'])
  })
  test('removes a link, not what it names', async () => {
    expect(formatListing(await run([base], [rm('/a/link')]))).toEqual(['d 755 0:0 0 now a', 'w 0 0:0 0 0 a/link'])
  })
  test('removes what a wildcard matches', async () => {
    expect(formatListing(await run([base], [rm('/b/*.txt', { allowWildcard: true })]))).toEqual([
      'd 755 0:0 0 now b',
      'w 0 0:0 0 0 b/1.txt',
      'w 0 0:0 0 0 b/2.txt',
    ])
  })
  test('of a missing name is an error unless that is allowed', async () => {
    await expect(run([base], [rm('/gone')])).rejects.toMatchObject({ code: 'OCI_FILE_OP_FAILED' })
    expect(await run([base], [rm('/gone', { allowNotFound: true })])).toEqual([])
  })
  test('never removes the root', async () => {
    await expect(run([base], [rm('/../')])).rejects.toMatchObject({ code: 'OCI_FILE_OP_FAILED' })
  })
})

describe('symlink', () => {
  test('keeps its target as it is written', async () => {
    expect(formatListing(await run([base], [symlink('../x/./y', '/b/l')]))).toEqual([
      'd 755 0:0 0 now b',
      'l 777 0:0 0 now b/l -> ../x/./y',
    ])
  })
  test('replaces nothing', async () => {
    await expect(run([base], [symlink('x', '/a/file')])).rejects.toMatchObject({
      message: 'symlink x /a/file: file exists',
    })
  })
})

describe('a NUL in a path', () => {
  const base = viewOfListing('d 755 0:0 0 1046649600 x')

  test('is refused where something would be written, as BuildKit refuses it', async () => {
    await expect(run([base, base], [copy('x', '/w\0/y')])).rejects.toMatchObject({
      code: 'OCI_FILE_OP_FAILED',
      message: 'lstat /w\0: invalid argument',
    })
    await expect(run([base], [mkfile('/a/h\0', 'x')])).rejects.toMatchObject({
      message: 'lstat /a/h\0: invalid argument',
    })
  })

  test('is refused in a source', async () => {
    await expect(run([base, base], [copy('x\0*', '/y')])).rejects.toMatchObject({ code: 'OCI_FILE_OP_FAILED' })
  })
})

describe('a chain of actions', () => {
  test('lets later ones see what earlier ones did', async () => {
    const entries = await run([base], [mkdir('/n'), symlink('/n', '/l'), mkfile('/l/f', 'x'), rm('/b')])
    expect(formatListing(entries)).toEqual([
      'w 0 0:0 0 0 b',
      'l 777 0:0 0 now l -> /n',
      'd 755 0:0 0 now n',
      'f 644 0:0 1 now n/f',
    ])
  })
  test('leaves no trace of what was made and removed again, but the time of its directory for views', async () => {
    expect(await run([base], [mkfile('/b/x', ''), rm('/b/x')])).toEqual([
      expect.objectContaining({ path: 'b', isTimeOnly: true }),
    ])
  })
  test('on scratch holds all that it made', async () => {
    expect(formatListing(await run([base], [mkfile('/x', 'y')], {}, -1))).toEqual(['f 644 0:0 1 now x'])
  })
  test('copies from what an earlier action made', async () => {
    const actions: FileAction[] = [
      { input: -1, secondaryInput: -1, output: -1, action: mkfile('/doc', 'text') },
      { input: 0, secondaryInput: 1, output: 0, action: copy('/doc', '/b/') },
    ]
    expect(formatListing(await applyFileSpec({ kind: 'file', actions }, [base], context))).toEqual([
      'd 755 0:0 0 now b',
      'f 644 0:0 4 now b/doc',
    ])
  })
})

describe('copy', () => {
  const source = viewOfListing(`
    d 750 1:2 0 500 a
    d 700 1:2 0 500 a/b
    f 644 1:2 0 500 a/b/c = c
    f 644 1:2 0 500 a/b/d = d
    f 644 1:2 0 500 a/x = x
    f 644 0:0 0 1000 file = old
  `)
  test('brings the parents of what its patterns include (--parents)', async () => {
    const entries = await run(
      [scratch, source],
      [copy('/', '/out/', { includePatterns: ['a/b/c'], requiredPaths: ['/a/b/c'] })],
    )
    expect(formatListing(entries)).toEqual([
      'd 755 0:0 0 now out',
      'd 750 1:2 0 now out/a',
      'd 700 1:2 0 now out/a/b',
      'f 644 1:2 2 500 out/a/b/c',
    ])
  })
  // fsutil: a parent that stands already is only chmod'ed.
  test('gives a parent that stands already the mode of the source, and leaves its owner', async () => {
    const entries = await run([base, source], [copy('/', '/', { includePatterns: ['a/b/c'] })])
    expect(formatListing(entries)).toEqual(['d 750 0:0 0 now a', 'd 700 1:2 0 now a/b', 'f 644 1:2 2 500 a/b/c'])
  })
  test('of a pattern across directories makes only those that hold a match', async () => {
    const entries = await run([scratch, source], [copy('/', '/', { includePatterns: ['**/x'] })])
    expect(formatListing(entries)).toEqual(['d 750 1:2 0 now a', 'f 644 1:2 2 500 a/x'])
  })
  test('misses a required path by its name', async () => {
    await expect(
      run([scratch, source], [copy('/', '/', { includePatterns: ['no'], requiredPaths: ['/no'] })]),
    ).rejects.toMatchObject({ code: 'OCI_COPY_SOURCE_NOT_FOUND', message: '"/no": not found' })
  })
  test('says of an owner by name, where nothing lies below, that --link may be why', async () => {
    const owner = { user: { name: 'node', input: -1 } }
    await expect(run([scratch, source], [copy('/a', '/n/', { owner })])).rejects.toMatchObject({
      message: 'invalid user index: -1',
      hint: expect.stringMatching(/owner as a number.*--link/),
    })
  })
  test('gives everything the time that is asked for, directories it makes too', async () => {
    const entries = await run([scratch, source], [copy('/a', '/n/m/', { timestamp: 42_000_000_000 })])
    expect(formatListing(entries)).toEqual([
      'd 755 0:0 0 42 n',
      'd 755 0:0 0 42 n/m',
      'd 700 1:2 0 42 n/m/b',
      'f 644 1:2 2 42 n/m/b/c',
      'f 644 1:2 2 42 n/m/b/d',
      'f 644 1:2 2 42 n/m/x',
    ])
  })
  test('replaces what is in its way when that is asked for', async () => {
    const target = viewOfListing('f 644 0:0 0 1000 out = x')
    const entries = await run([target, source], [copy('/a', '/out', { alwaysReplaceExistingDestPaths: true })]).catch(
      (error: unknown) => error,
    )
    expect(Array.isArray(entries) ? formatListing(entries as LayerEntry[])[0] : entries).toBe('d 750 1:2 0 500 out')
  })
  test('reads both files when only their bytes can tell whether one changed', async () => {
    const lower = viewOfListing('f 644 0:0 0 1000 file = old')
    expect(await run([lower, source], [copy('/file', '/file')])).toEqual([])
    const other = viewOfListing('f 644 0:0 0 1000 file = new')
    expect(formatListing(await run([other, source], [copy('/file', '/file')]))).toEqual(['f 644 0:0 4 1000 file'])
  })
  test('stops when it is told to', async () => {
    await expect(
      run([scratch, source], [copy('/a', '/x')], { signal: AbortSignal.abort(new Error('stop')) }),
    ).rejects.toThrow('stop')
  })
  test("refuses a bad symbolic mode in BuildKit's words", async () => {
    await expect(run([scratch, source], [copy('/a', '/x', { modeStr: 'u=q' })])).rejects.toMatchObject({
      code: 'OCI_COPY_INVALID',
      message: 'invalid syntax',
    })
  })
})

describe('an archive that is added', () => {
  async function add(
    script: string,
    file: string,
    target: View = scratch,
  ): Promise<{ readonly entries: LayerEntry[]; readonly texts: ReadonlyMap<string, string> }> {
    await using directory = await temporaryDirectory()
    await checkTool('sh', ['-euc', script], { cwd: directory.path })
    const bytes = readFileSync(directory.join(file))
    const source = createChainView([
      { entries: parseListing(`f 644 0:0 0 1000 ${file} = base64:${bytes.toString('base64')}`) },
    ])
    const entries = await run([target, source], [copy(`/${file}`, '/t/', { attemptUnpackDockerCompatibility: true })], {
      temporaryDirectory: directory.path,
    })
    return {
      entries,
      texts: new Map(
        entries
          .filter((entry) => entry.type === 'file')
          .map((entry) => [entry.path, [...contentChunks(entry)].join('')]),
      ),
    }
  }
  const owner = '--numeric-owner --owner=:7 --group=:8 --mtime=@1234567890'

  for (const [tool, option] of [
    ['gzip', '-z'],
    ['bzip2', '-j'],
    ['xz', '-J'],
    ['zstd', '--zstd'],
    ['tar', ''],
  ] as const) {
    testWith(['tar', tool], `is unpacked whatever its name says (${tool})`, async () => {
      const { entries, texts } = await add(
        `mkdir d; printf hi > d/f; chmod 640 d/f; chmod 755 d; tar ${option} ${owner} -cf notes.txt d`,
        'notes.txt',
      )
      expect(formatListing(entries)).toEqual([
        'd 755 0:0 0 now t',
        'd 755 7:8 0 1234567890 t/d',
        'f 640 7:8 2 1234567890 t/d/f',
      ])
      expect(texts.get('t/d/f')).toBe('hi')
    })
  }
  testWith(['tar'], 'keeps names that are no UTF-8', async () => {
    const { entries } = await add(`touch "$(printf 'f\\377')"; tar ${owner} -cf x.tar f*`, 'x.tar')
    expect(entries.map((entry) => entry.path)).toEqual(['t', 't/f\xff'])
  })
  testWith(['python3'], 'keeps capabilities whose bytes are no text, and large ids', async () => {
    const script = `python3 -c "
import tarfile
with tarfile.open('x.tar', 'w', format=tarfile.PAX_FORMAT) as t:
    a = tarfile.TarInfo('a'); a.uid = 3000000; a.pax_headers = {'mtime': '1600000000.5', 'SCHILY.xattr.security.capability': b'\\x01\\x00\\x00\\x02\\x80\\xff'.decode('utf-8', 'surrogateescape')}; t.addfile(a)
"`
    const { entries } = await add(script, 'x.tar')
    expect(entries[1]).toMatchObject({ path: 't/a', uid: 3_000_000, mtimeSec: 1_600_000_000, mtimeNsec: 500_000_000 })
    expect([...entries[1]!.xattrs!.get('security.capability')!]).toEqual([1, 0, 0, 2, 0x80, 0xff])
  })
  testWith(['tar'], 'replaces files in its way and follows links only inside its destination', async () => {
    const target = viewOfListing(`
      d 755 0:0 0 1000 etc
      d 755 0:0 0 1000 t
      d 755 0:0 0 1000 t/file
      f 644 0:0 0 1000 t/file/below = x
      l 777 0:0 0 1000 t/link -> /etc
    `)
    const { entries } = await add(
      `mkdir link; printf new > link/x; printf f > file; tar ${owner} -cf x.tar file link/x`,
      'x.tar',
      target,
    )
    // moby unpacks in a chroot at the destination: /etc is t/etc there.
    expect(entries.map((entry) => `${entry.type} ${entry.path}`)).toEqual([
      'directory t',
      'directory t/etc',
      'file t/etc/x',
      'file t/file',
    ])
  })
  testWith(['tar'], 'that climbs out of its destination is refused', async () => {
    await expect(add(`touch x; tar -P ${owner} --transform=s,^,../../, -cf x.tar x`, 'x.tar')).rejects.toMatchObject({
      code: 'OCI_ARCHIVE_INVALID',
    })
  })
  testWith(['tar'], 'that is damaged behind its first entry is refused', async () => {
    await expect(
      add(`head -c 100000 /dev/zero > z; tar ${owner} -cf y.tar z; head -c 50000 y.tar > x.tar`, 'x.tar'),
    ).rejects.toMatchObject({ code: 'OCI_ARCHIVE_INVALID' })
  })
  test('is copied like any file when it is none', async () => {
    const { entries } = await add('printf "not a tar" | gzip -n > x.tar.gz', 'x.tar.gz')
    expect(entries.map((entry) => entry.path)).toEqual(['t', 't/x.tar.gz'])
  })
})

describe('owners by name', () => {
  const withUsers = viewOfListing(`
    d 755 0:0 0 1000 etc
    f 644 0:0 0 1000 etc/passwd = base64:${Buffer.from('# comment\n\nweb:x:33:44:www:/:/bin/sh\nbroken\n').toString('base64')}
    l 777 0:0 0 1000 etc/group -> /usr/group
    d 755 0:0 0 1000 usr
    f 644 0:0 0 1000 usr/group = staff:x:50:
  `)
  test('are looked up through links inside the root', async () => {
    expect(
      formatListing(
        await run(
          [withUsers],
          [mkfile('/x', '', { owner: { user: { name: 'web', input: 0 }, group: { name: 'staff', input: 0 } } })],
        ),
      ),
    ).toEqual(['f 644 33:50 0 now x'])
  })
  test('that nobody knows are 0, and a user brings its group', async () => {
    expect(
      formatListing(await run([withUsers], [mkfile('/x', '', { owner: { user: { name: 'nobody', input: 0 } } })])),
    ).toEqual(['f 644 0:0 0 now x'])
    expect(
      formatListing(await run([withUsers], [mkfile('/x', '', { owner: { user: { name: 'web', input: 0 } } })])),
    ).toEqual(['f 644 33:44 0 now x'])
    expect(
      formatListing(await run([scratch], [mkfile('/x', '', { owner: { user: { name: 'web', input: 0 } } })])),
    ).toEqual(['f 644 0:0 0 now x'])
  })
})
