import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect } from '@jest/globals'
import { describeWith, testWith } from '@ts-oci/testing'
import { snapshots } from '../families.ts'
import type { BuildOptions } from '../build/public-types.ts'
import { build as buildImage } from './build.ts'
import { buildNeeds, makeBuildWorld, type BuildWorld } from './build.test.helper.ts'
import { push } from './transfer.ts'

/** What a step makes, what a later one does to it, and what is then so: in a further step, and in one on the image from a registry. */
const table: readonly {
  readonly what: string
  readonly make: string
  readonly change?: string
  readonly check: string
}[] = [
  { what: 'a file that is gone', make: 'echo > gone', change: 'rm gone', check: '! test -e gone' },
  {
    what: 'a directory in place of a directory',
    make: 'mkdir -p opaque/below && echo > opaque/old && echo > opaque/below/old',
    change: 'rm -r opaque && mkdir opaque && echo > opaque/new',
    check: 'test "$(ls -A opaque)" = new',
  },
  {
    what: 'a file in place of a directory',
    make: 'mkdir -p turn/x',
    change: 'rm -r turn && echo f > turn',
    check: 'test -f turn',
  },
  {
    what: 'names of one file',
    make: 'echo 1 > one && ln one two && mkdir other && ln one other/three',
    check: 'test "$(stat -c %h one)" = "$links" && cmp one two && cmp one other/three',
  },
  {
    what: 'modes',
    make: 'echo > m && chmod 6751 m && mkdir s && chmod 1777 s',
    check: 'test "$(stat -c %a m s)" = "6751\n1777"',
  },
  {
    what: 'owners',
    make: 'echo > o && chown 12:34 o && ln -s o l && chown -h 5:6 l',
    check: 'test "$(stat -c %u:%g o l)" = "12:34\n5:6"',
  },
  { what: 'a fifo', make: 'mkfifo p && chmod 640 p', check: 'test -p p && test "$(stat -c %a p)" = 640' },
  {
    what: 'devices',
    make: 'mknod c c 1 3 && mknod b b 7 250',
    check: 'test -c c && test -b b && test "$(stat -c %t:%T c b)" = "1:3\n7:fa"',
  },
  // An overlay makes none, as it is its own mark of what is gone.
  { what: 'no device 0/0', make: 'mknod w c 0 0 2> /dev/null; true', check: '! test -e w' },
  {
    what: 'a file with holes',
    make: 'dd if=/dev/zero of=h bs=1 count=0 seek=30000000 2> /dev/null && echo end >> h',
    check: 'test "$(stat -c %s h)" = 30000004 && test "$(tail -c 4 h)" = end',
  },
  {
    what: 'times',
    make: 'echo > t && touch -d @1234567 t && mkdir d && touch -d @7654321 d',
    check: 'test "$(stat -c %Y t d)" = "1234567\n7654321"',
  },
  { what: 'times of links', make: 'ln -s nowhere k && touch -h -d @777 k', check: 'test "$(stat -c %Y k)" = 777' },
  {
    what: 'names of any bytes',
    make: `mkdir "$(printf 'a\\377\\001 b')" && echo odd > "$(printf 'a\\377\\001 b/c\\nd')"`,
    check: `test "$(cat "$(printf 'a\\377\\001 b/c\\nd')")" = odd`,
  },
  {
    what: 'names and paths of great length',
    make: 'n=$(printf "%0250d" 0); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do mkdir $n && cd $n; done; echo deep > $n',
    check: 'n=$(printf "%0250d" 0); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do cd $n; done; test "$(cat $n)" = deep',
  },
  // It came with an ADD, from an archive that another tool made.
  { what: 'a capability', make: 'mv /cap/file cap', change: 'chmod 711 cap', check: 'test "$(stat -c %a cap)" = 711' },
]

const inDirectories = (part: 'make' | 'change' | 'check', links = '3'): string =>
  [
    'set -e',
    `links=${links}`,
    ...table.map(
      (row, index) =>
        `mkdir -p /w/${index}; (cd /w/${index}; { ${row[part] ?? 'true'}; } || { echo "wrong: ${row.what}"; exit 1; })`,
    ),
    '',
  ].join('\n')

/** With what the step said in the message of its failure. */
async function build(options: BuildOptions): ReturnType<typeof buildImage> {
  return buildImage(options).catch((error: { readonly details?: { readonly output?: string } }) => {
    throw error.details?.output ? new Error(error.details.output, { cause: error }) : error
  })
}

describeWith([...buildNeeds, 'setcap', 'mkfs.ext4', '/dev/loop-control'], 'what a step makes', () => {
  let world: BuildWorld
  let archive: Buffer
  beforeAll(async () => {
    world = await makeBuildWorld()
    archive = await archiveWithCapability(world)
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const layersOf = new Map<string, readonly string[]>()

  for (const { name: kind } of snapshots)
    testWith(
      [],
      `survives build, push, pull and the steps after each (snapshots ${kind})`,
      async () => {
        // Names that a step linked are files of their own in a working tree, once it has ended.
        const check = inDirectories('check', kind === 'tree' ? '1' : '3')
        const context = await world.context(`all-${kind}`, {
          Dockerfile: `FROM $BASE\nADD cap.tar /cap/\n${['make', 'change', 'check'].map((part) => `RUN --mount=type=bind,target=/ctx sh /ctx/${part}.sh`).join('\n')}\n`,
          'make.sh': inDirectories('make'),
          'change.sh': inDirectories('change'),
          'check.sh': check,
          'cap.tar': archive,
        })
        const destination = `${world.registry.host}/fidelity:${kind}`
        const store = world.directory.join(`store-${kind}`)
        const common: BuildOptions = { context, store, snapshots: kind }
        const dest = world.directory.join(`${kind}.oci`)
        const outputs = [
          { type: 'oci', dest, tar: 'false', 'rewrite-timestamp': 'true', compression: 'uncompressed' },
        ] as const
        await build({ ...common, tags: [destination], sourceDateEpoch: 1, outputs: [...outputs, { type: 'image' }] })
        layersOf.set(kind, layersIn(dest))
        expect(layersOf.get(kind)).toEqual(layersOf.get('overlay'))
        // Of the archive, of what a step moved, and of what one changed that stood below.
        const isCapable = (digest: string): boolean =>
          readFileSync(`${dest}/blobs/sha256/${digest.slice(7)}`, 'latin1').includes('SCHILY.xattr.security.capability')
        expect(layersIn(dest).filter(isCapable)).toHaveLength(3)
        await push(destination, { store })
        const pulled = await world.context(`pulled-${kind}`, {
          Dockerfile: `FROM ${destination}\nRUN --mount=type=bind,target=/ctx sh /ctx/check.sh\n`,
          'check.sh': check,
        })
        await build({ ...common, context: pulled, store: world.directory.join(`pulled-store-${kind}`) })
      },
      120_000,
    )

  for (const { name: kind } of snapshots)
    testWith(
      [],
      `may lie in 200 layers, and in 20 more on their image (snapshots ${kind})`,
      async () => {
        const store = world.directory.join(`store-many-${kind}`)
        const lines = Array.from({ length: 200 }, (_, index) =>
          index % 10 === 9 ? `RUN echo ${index} > /f${index}\n` : `COPY file /c${index}\n`,
        )
        const context = await world.context(`many-${kind}`, { Dockerfile: `FROM $BASE\n${lines.join('')}`, file: 'x' })
        await build({ context, store, snapshots: kind, tags: ['many'] })
        const more = Array.from({ length: 20 }, (_, index) => `RUN echo ${index} > /g${index}\n`).join('')
        const check =
          'RUN test "$(ls / | grep -c "^[fcg][0-9]")" = 220 && test "$(cat /f199)" = 199 && test "$(cat /g0)" = 0\n'
        const next = await world.context(`more-${kind}`, { Dockerfile: `FROM many\n${more}${check}` })
        const { layers } = await build({ context: next, store, snapshots: kind })
        expect(layers).toHaveLength(222)
      },
      300_000,
    )
})

function layersIn(dest: string): readonly string[] {
  type Descriptors = Readonly<Record<'manifests' | 'layers', readonly { readonly digest: string }[]>>
  const read = (name: string): Descriptors => JSON.parse(readFileSync(`${dest}/${name}`, 'utf8')) as Descriptors
  const manifest = read(`blobs/sha256/${read('index.json').manifests[0]!.digest.slice(7)}`)
  return manifest.layers.map(({ digest }) => digest)
}

async function archiveWithCapability(world: BuildWorld): Promise<Buffer> {
  const { checkTool } = await import('@ts-oci/testing')
  await world.context('cap', { file: 'a program' })
  const directory = world.directory.join('cap')
  await checkTool('setcap', ['cap_net_raw+ep', `${directory}/file`])
  const tar = world.directory.join('cap.tar')
  await checkTool('tar', ['--xattrs', '--xattrs-include=security.capability', '-C', directory, '-cf', tar, 'file'])
  return readFileSync(tar)
}
