import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { checkTool, describeWith, runTool, temporaryDirectory, testWith } from '@ts-oci/testing'
import { nativePartPath } from './native.ts'

const build = fileURLToPath(new URL('../scripts/build-native.mjs', import.meta.url))
// The oldest C library of the GNU project that Node's own binaries run on.
const OLDEST_GLIBC = [2, 28]

/** Symbols of a file as `objdump -T` tells them: `*UND*` for what somebody else has to bring. */
async function symbolsOf(file: string): Promise<{ name: string; version: string; isDefined: boolean }[]> {
  const lines = (await checkTool('objdump', ['-T', file])).split('\n')
  return lines.flatMap((line) => {
    const match = /^[0-9a-f]{16} .{7} (\S+)\s+[0-9a-f]{16}\s+(?:\(?([\w.]+)\)?\s+)?(\S+)$/.exec(line)
    return match === null ? [] : [{ name: match[3]!, version: match[2] ?? '', isDefined: match[1] !== '*UND*' }]
  })
}

async function askedFor(addon: string): Promise<string[]> {
  const symbols = (await symbolsOf(addon)).filter(({ isDefined }) => !isDefined)
  expect(symbols.map(({ version }) => version).filter((version) => version !== '')).toEqual([])
  return symbols.map(({ name }) => name)
}

function ofTheLibrary(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith('napi_'))
}

/** Names that this C library has had since OLDEST_GLIBC or before. */
async function namesOfOldGlibc(compiler: string): Promise<Set<string>> {
  const old = new Set<string>()
  for (const library of ['libc.so.6', 'libpthread.so.0']) {
    const file = (await checkTool(compiler, [`-print-file-name=${library}`])).trim()
    for (const { name, version, isDefined } of await symbolsOf(file)) {
      const [major = 0, minor = 0] = /^GLIBC_(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [Infinity]
      const isOld = major < OLDEST_GLIBC[0]! || (major === OLDEST_GLIBC[0] && minor <= OLDEST_GLIBC[1]!)
      if (isDefined && isOld) old.add(name)
    }
  }
  return old
}

async function dynamicSection(file: string): Promise<string> {
  return checkTool('objdump', ['-p', file])
}

describeWith(['objdump', 'cc'], 'the addon', () => {
  test('asks for no library and no version of a symbol', async () => {
    const addon = nativePartPath('addon.node')
    expect(await askedFor(addon)).toContain('napi_create_function')
    expect(await dynamicSection(addon)).not.toMatch(/NEEDED|Version References/)
  })

  test('calls only what glibc has had since 2.28', async () => {
    const old = await namesOfOldGlibc('cc')
    expect(old).toContain('openat')
    const asked = ofTheLibrary(await askedFor(nativePartPath('addon.node')))
    expect(asked.filter((name) => !old.has(name))).toEqual([])
  })
})

describeWith(['objdump', 'musl-gcc'], 'the addon and musl', () => {
  test('loads into a process of musl, which has all that it calls', async () => {
    await using directory = await temporaryDirectory()
    const addon = nativePartPath('addon.node')
    const names = (await askedFor(addon)).filter((name) => name.startsWith('napi_'))
    const source = [
      '#include <dlfcn.h>',
      '#include <stdio.h>',
      ...names.map((name) => `void ${name}(void) {}`),
      'int main(int argc, char **argv) {',
      '  void *addon = dlopen(argv[1], RTLD_NOW);',
      '  puts(addon ? dlsym(addon, "napi_register_module_v1") ? "loaded" : "no entry" : dlerror());',
      '}',
    ]
    await writeFile(directory.join('load.c'), source.join('\n'))
    await checkTool('musl-gcc', ['-rdynamic', '-o', directory.join('load'), directory.join('load.c')])
    expect(await checkTool(directory.join('load'), [addon])).toBe('loaded\n')
  })
})

testWith(['musl-gcc', 'cc'], "the launcher's sources compile against musl's headers too", async () => {
  const native = fileURLToPath(new URL('../native/', import.meta.url))
  const sources = readdirSync(native, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /^(launcher|network|supervisor|common).*\.c$/.test(path),
  )
  expect(sources.length).toBeGreaterThan(20)
  // The kernel's headers, which Debian's musl-gcc does not look for.
  const triplet = (await checkTool('cc', ['-print-multiarch'])).trim()
  const kernel = ['-idirafter', '/usr/include', '-idirafter', `/usr/include/${triplet}`]
  const { status, stderr } = await runTool('musl-gcc', ['-std=gnu11', '-fsyntax-only', ...kernel, ...sources], {
    cwd: native,
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

describeWith(['objdump', 'aarch64-linux-gnu-gcc'], 'the native parts for the other architecture', () => {
  const folder = join(dirname(nativePartPath('launcher')), '..', 'arm64')

  test('are built by a cross compiler, and call only what glibc has had since 2.28', async () => {
    await checkTool(process.execPath, [build, '--all'])
    const addon = join(folder, 'addon.node')
    const old = await namesOfOldGlibc('aarch64-linux-gnu-gcc')
    // e_machine: EM_AARCH64.
    expect((await readFile(addon)).readUInt16LE(18)).toBe(183)
    expect(ofTheLibrary(await askedFor(addon)).filter((name) => !old.has(name))).toEqual([])
  }, 120_000)

  describeWith(['qemu-aarch64-static'], 'run', () => {
    test('the launcher starts', async () => {
      await checkTool(process.execPath, [build, '--all'])
      const { status, stderr } = await runTool('qemu-aarch64-static', [join(folder, 'launcher')])
      expect({ status, stderr }).toEqual({ status: 64, stderr: expect.stringContaining('usage:') })
    }, 120_000)
  })
})

test('a compiler that is missing is named with the packages that bring it', async () => {
  const { status, stderr } = await runTool(process.execPath, [build, '--all'], {
    env: { ...process.env, CC_X64: '/no/cc', CC_ARM64: '/no/cc' },
  })
  expect(status).toBe(1)
  expect(stderr).toMatch(/no C compiler for (x64|arm64): "\/no\/cc" was not found\n {2}hint: .*apt-get install gcc-/)
})
