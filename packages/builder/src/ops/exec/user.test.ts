import { describe, expect, test } from '@jest/globals'
import { makeEntry } from '../../view/entry.ts'
import { createChainView } from '../../view/view.ts'
import type { View, ViewEntry } from '../../view/types.ts'
import { resolveUser } from './user.ts'

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken line\nnohome:x:7:8:::\n'
const GROUP = 'root:x:0:\nstaff:x:50:app,other\nwheel:x:10:app\nbad:x:ten:\n'

function viewWith(files: Readonly<Record<string, string>>): {
  view: View
  read: (entry: ViewEntry) => Promise<Uint8Array>
} {
  const names = Object.keys(files).sort()
  const entries = [
    makeEntry({ path: 'etc', type: 'directory', mode: 0o755 }),
    ...names.map((path) => makeEntry({ path, type: 'file', mode: 0o644, size: files[path]!.length })),
  ]
  return { view: createChainView([{ entries }]), read: async (entry) => Buffer.from(files[entry.path]!) }
}

async function resolve(
  user: string,
  files: Readonly<Record<string, string>> = { 'etc/passwd': PASSWD, 'etc/group': GROUP },
): Promise<unknown> {
  const { view, read } = viewWith(files)
  return resolveUser(user, view, read)
}

describe('the user of a step', () => {
  test('is root where none is named', async () => {
    expect(await resolve('')).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: '/root' })
  })

  test('by name has its own group, and the groups that list it', async () => {
    expect(await resolve('app')).toEqual({ uid: 1000, gid: 1001, additionalGids: [1001, 50, 10], home: '/home/app' })
  })

  test('by number takes the account of that number', async () => {
    expect(await resolve('1000')).toMatchObject({ uid: 1000, gid: 1001, home: '/home/app' })
  })

  test('by a number that no account has stands for itself with group 0', async () => {
    expect(await resolve('4321')).toEqual({ uid: 4321, gid: 0, additionalGids: [0], home: '/' })
  })

  test('with a group has that group alone', async () => {
    expect(await resolve('app:staff')).toEqual({ uid: 1000, gid: 50, additionalGids: [50], home: '/home/app' })
    expect(await resolve('7:9')).toMatchObject({ uid: 7, gid: 9, additionalGids: [9] })
  })

  test('before a colon that nothing follows has its own groups', async () => {
    expect(await resolve('app:')).toMatchObject({ gid: 1001, additionalGids: [1001, 50, 10] })
  })

  test('left out before a group is root', async () => {
    expect(await resolve(':staff')).toMatchObject({ uid: 0, gid: 50, additionalGids: [50], home: '/root' })
    expect(await resolve(':77', {})).toMatchObject({ uid: 0, gid: 77, additionalGids: [77] })
  })

  test('by number is that number, whatever account or group is called so', async () => {
    const files = {
      'etc/passwd': '1000:x:5:6:::\napp:x:1000:7:::\n',
      'etc/group': '8:x:9:app\n1000:x:3:\n',
    }
    expect(await resolve('1000', files)).toMatchObject({ uid: 1000, gid: 7, additionalGids: [7, 9] })
    expect(await resolve('app:8', files)).toMatchObject({ uid: 1000, gid: 8, additionalGids: [8] })
    expect(await resolve('4:1000', files)).toMatchObject({ uid: 4, gid: 1000 })
  })

  test('root and a number need no database', async () => {
    const renamed = { 'etc/passwd': 'toor:x:0:0::/toor:\n', 'etc/group': 'wheel:x:0:\n' }
    expect(await resolve('root:5', renamed)).toMatchObject({ uid: 0, gid: 5 })
    expect(await resolve('7:root', {})).toMatchObject({ uid: 7, gid: 0 })
    await expect(resolve('root', renamed)).rejects.toMatchObject({
      message: 'unable to find user root: no matching entries in passwd file',
    })
  })

  test('may be a number in an image without any database', async () => {
    expect(await resolve('5:6', {})).toEqual({ uid: 5, gid: 6, additionalGids: [6], home: '/' })
  })

  test('has an id that the kernel takes for one, wherever it stands', async () => {
    const files = {
      'etc/passwd': 'big:x:4294967295:0:::\nlow:x:5:4294967295:::\nmember:x:6:6:::\n',
      'etc/group': 'g:x:4294967294:member\n',
    }
    for (const user of ['-1', '4294967295', '2147483648', '0:4294967295', 'big', 'low', 'member'])
      await expect(resolve(user, files)).rejects.toMatchObject({
        message: 'uids and gids must be in range 0-2147483647',
      })
  })

  test('of an unknown name is refused in containerd’s words', async () => {
    await expect(resolve('nosuch')).rejects.toMatchObject({
      code: 'OCI_STEP_FAILED',
      message: 'unable to find user nosuch: no matching entries in passwd file',
    })
    await expect(resolve('app:nosuch')).rejects.toMatchObject({
      message: 'unable to find group nosuch: no matching entries in group file',
    })
  })
})
