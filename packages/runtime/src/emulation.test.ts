import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { foreignPrograms } from './emulation.ts'

// Magic and mask of Debian's qemu-user-static 7.2, as the kernel shows them.
const ENTRIES = {
  'qemu-aarch64': '7f454c460201010000000000000000000200b700 ffffffffffffff00fffffffffffffffffeffffff',
  'qemu-arm': '7f454c4601010100000000000000000002002800 ffffffffffffff00fffffffffffffffffeffffff',
  'qemu-s390x': '7f454c4602020100000000000000000000020016 fffffffffffffffcfffffffffffffffffffeffff',
} as const

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'binfmt-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function register(name: string, content: string): void {
  writeFileSync(join(directory, name), content)
}

function qemu(name: keyof typeof ENTRIES, flags = 'OCF', state = 'enabled'): void {
  const [magic, mask] = ENTRIES[name].split(' ')
  const interpreter = `/usr/libexec/qemu-binfmt/${name}`
  register(name, `${state}\ninterpreter ${interpreter}\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ${mask}\n`)
}

test('an interpreter is known by the magic of its programs', () => {
  register('status', 'enabled\n')
  register('python3', 'enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic cb0d0d0a\n')
  register('jar', 'enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n')
  qemu('qemu-arm')
  qemu('qemu-s390x', 'OC')
  qemu('qemu-aarch64')
  const path = (name: string): string => `/usr/libexec/qemu-binfmt/${name}`
  expect(foreignPrograms('arm64', 'amd64', directory)).toEqual({
    kind: 'interpreter',
    path: path('qemu-aarch64'),
    isOpen: true,
  })
  expect(foreignPrograms('s390x', 'amd64', directory)).toEqual({
    kind: 'interpreter',
    path: path('qemu-s390x'),
    isOpen: false,
  })
  expect(foreignPrograms('arm', 'amd64', directory)).toMatchObject({ path: path('qemu-arm') })
  expect(foreignPrograms('riscv64', 'amd64', directory)).toEqual({ kind: 'none' })
})

test('what is switched off runs nothing, one by one or all', () => {
  register('status', 'enabled\n')
  qemu('qemu-aarch64', 'OCF', 'disabled')
  expect(foreignPrograms('arm64', 'amd64', directory)).toEqual({ kind: 'none' })
  qemu('qemu-aarch64')
  register('status', 'disabled\n')
  expect(foreignPrograms('arm64', 'amd64', directory)).toEqual({ kind: 'none' })
})

test('where nothing can be read, as in a container, nothing is known', () => {
  mkdirSync(join(directory, 'empty'))
  expect(foreignPrograms('arm64', 'amd64', join(directory, 'empty'))).toEqual({ kind: 'unknown' })
})

test('32-bit programs of its own family are the processor’s', () => {
  expect(foreignPrograms('386', 'amd64', directory)).toEqual({ kind: 'processor' })
  expect(foreignPrograms('arm', 'arm64', directory)).toEqual({ kind: 'processor' })
})

test.each(['before', 'zzz'])(
  'of two for one kind of programs the one that may work counts, in any order (%s)',
  (other) => {
    register('status', 'enabled\n')
    qemu('qemu-aarch64')
    const [magic, mask] = ENTRIES['qemu-aarch64'].split(' ')
    register(other, `enabled\ninterpreter /old\nflags: \noffset 0\nmagic ${magic}\nmask ${mask}\n`)
    expect(foreignPrograms('arm64', 'amd64', directory)).toMatchObject({ isOpen: true })
  },
)
