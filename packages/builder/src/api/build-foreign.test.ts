import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWith, findTool, nodeFlags, temporaryDirectory, type TemporaryDirectory } from '@ts-oci/testing'
import { build } from './build.ts'

const script = fileURLToPath(new URL('build-process.test.helper.ts', import.meta.url))

/** Programs that write `ran` and end, by hand: no compiler for another processor is needed. */
const PROGRAMS = {
  // write(1, message, 4); exit(0), with the message behind the code.
  arm64: elf64(183, [0xd2800020, 0x100000e1, 0xd2800082, 0xd2800808, 0xd4000001, 0xd2800000, 0xd2800ba8, 0xd4000001]),
  '386': elf32(
    3,
    // mov eax,4; mov ebx,1; mov ecx,message; mov edx,4; int 0x80; mov eax,1; xor ebx,ebx; int 0x80
    Buffer.from('b804000000bb01000000b977800408ba04000000cd80b80100000031dbcd80', 'hex'),
  ),
} as const

function elf64(machine: number, code: readonly number[]): Buffer {
  const words = Buffer.alloc(code.length * 4)
  code.forEach((word, index) => words.writeUInt32LE(word, index * 4))
  const head = Buffer.alloc(0x78)
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  head.writeUInt16LE(2, 16)
  head.writeUInt16LE(machine, 18)
  head.writeUInt32LE(1, 20)
  head.writeBigUInt64LE(0x400078n, 24)
  head.writeBigUInt64LE(64n, 32)
  for (const [value, at] of [
    [64, 52],
    [56, 54],
    [1, 56],
  ] as const)
    head.writeUInt16LE(value, at)
  const whole = Buffer.concat([head, words, Buffer.from('ran\n')])
  whole.writeUInt32LE(1, 64)
  whole.writeUInt32LE(5, 68)
  whole.writeBigUInt64LE(0x400000n, 80)
  whole.writeBigUInt64LE(0x400000n, 88)
  for (const at of [96, 104]) whole.writeBigUInt64LE(BigInt(whole.length), at)
  whole.writeBigUInt64LE(0x1000n, 112)
  return whole
}

function elf32(machine: number, code: Buffer): Buffer {
  const head = Buffer.alloc(0x54)
  head.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1])
  head.writeUInt16LE(2, 16)
  head.writeUInt16LE(machine, 18)
  head.writeUInt32LE(1, 20)
  head.writeUInt32LE(0x8048054, 24)
  head.writeUInt32LE(52, 28)
  for (const [value, at] of [
    [52, 40],
    [32, 42],
    [1, 44],
  ] as const)
    head.writeUInt16LE(value, at)
  const whole = Buffer.concat([head, code, Buffer.alloc(0x77 - 0x54 - code.length), Buffer.from('ran\n')])
  const words = [1, 0, 0x8048000, 0x8048000, whole.length, whole.length, 5, 0x1000]
  words.forEach((word, index) => whole.writeUInt32LE(word, 52 + index * 4))
  return whole
}

/** From Linux 6.7 on a user namespace has registrations of its own, so that nothing of this machine has to change. */
const register = (flags: string): string =>
  [
    'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc',
    String.raw`printf '%s' ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:` +
      `${findTool('qemu-aarch64-static')}:${flags}' > /proc/sys/fs/binfmt_misc/register`,
  ].join(' && ')

const own = ['unshare', 'qemu-aarch64-static']
if (findTool('unshare') !== undefined && findTool('qemu-aarch64-static') !== undefined) {
  const { status } = spawnSync('unshare', ['-Urm', 'sh', '-c', register('F')], { stdio: 'ignore' })
  if (status !== 0) own.push('binfmt_misc of a user namespace (Linux 6.7)')
}

describeWith(
  process.arch === 'x64' ? ['root'] : ['root', 'an x64 processor'],
  'a step for another architecture',
  () => {
    let work: TemporaryDirectory
    beforeAll(async () => {
      work = await temporaryDirectory()
      for (const architecture of Object.keys(PROGRAMS) as (keyof typeof PROGRAMS)[]) {
        mkdirSync(work.join(architecture))
        writeFileSync(work.join(`${architecture}/run`), PROGRAMS[architecture])
        chmodSync(work.join(`${architecture}/run`), 0o755)
        writeFileSync(work.join(`${architecture}/Dockerfile`), 'FROM scratch\nCOPY run /run\nRUN ["/run"]\n')
      }
    })
    afterAll(async () => {
      await work?.[Symbol.asyncDispose]()
    })

    test('runs where the processor does, as 386 on amd64', async () => {
      const output: string[] = []
      await build({
        context: work.join('386'),
        store: work.join('store-386'),
        platform: 'linux/386',
        outputs: [{ type: 'cacheonly' }],
        onProgress: (event) => {
          if (event.type === 'log') output.push(Buffer.from(event.data).toString())
        },
      })
      expect(output.join('')).toContain('ran')
    })

    describeWith(own, 'by an interpreter', () => {
      /** Builds in a user namespace. */
      function buildWith(flags: string): { readonly status: number | null; readonly said: string } {
        const options = {
          context: work.join('arm64'),
          store: work.join(`store-${flags}-`),
          platform: 'linux/arm64',
          isolation: 'rootless',
          outputs: [{ type: 'cacheonly' }],
        }
        const place = `${register(flags)} && exec "$@"`
        const words = [process.execPath, ...nodeFlags, script, JSON.stringify(options)]
        const { status, stdout } = spawnSync('unshare', ['-Urm', 'sh', '-c', place, 'sh', ...words], {
          encoding: 'utf8',
        })
        return { status, said: stdout }
      }

      test('runs where the kernel holds that open', () => {
        expect(buildWith('F')).toMatchObject({ status: 0 })
      })

      test('is refused before it runs where the image would need to have it', () => {
        const { said } = buildWith('')
        expect(said).toContain('OCI_STEP_UNSUPPORTED')
        expect(said).toContain(`its interpreter ${findTool('qemu-aarch64-static')} is not in the image`)
      })
    })
  },
)
