import { chmod, copyFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { checkTool, runTool } from './command.ts'
import { withFileLock } from './file-lock.ts'
import { type ImageConfig, tarOfDirectory, writeImageLayout } from './image-layout.ts'
import type { Registry } from './registry.ts'
import { findTool } from './requirements.ts'
import { cacheDirectory, temporaryDirectory } from './temporary.ts'

/** A base image on the disk: an OCI image layout with the tag `latest`. */
export interface BaseImage {
  readonly layout: string
}

/** Debian release of the base image. */
export const debianSuite = 'bookworm'

/** A root file system of Debian's static busybox; needs `busybox` (busybox-static) and `tar`. */
export async function makeBusyboxRoot(root: string): Promise<void> {
  const busybox = findTool('busybox')
  if (busybox === undefined) throw new Error('busybox is missing: testWith(["busybox"], …)')
  for (const name of ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr/bin', 'var/lib']) {
    await mkdir(join(root, name), { recursive: true })
  }
  await mkdir(join(root, 'tmp'))
  await chmod(join(root, 'tmp'), 0o1777)
  await copyFile(busybox, join(root, 'bin', 'busybox'))
  await chmod(join(root, 'bin', 'busybox'), 0o755)
  const applets = (await checkTool(busybox, ['--list'])).split('\n').filter((name) => name !== '' && name !== 'busybox')
  for (const applet of applets) await symlink('busybox', join(root, 'bin', applet))
  await writeFile(
    join(root, 'etc', 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  )
  await writeFile(join(root, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n')
}

/** Writes an OCI image layout of busybox to `layout`. */
export async function makeBusyboxBase(layout: string, config: ImageConfig = {}): Promise<BaseImage> {
  await using root = await temporaryDirectory()
  await makeBusyboxRoot(root.path)
  await writeImageLayout(layout, { layers: [await tarOfDirectory(root.path)], config: { Cmd: ['sh'], ...config } })
  return { layout }
}

/**
 * A minimal Debian from debootstrap, made once and kept in the cache directory; needs root, `debootstrap` and `tar`.
 * Its apt knows the mirror that this machine's apt knows.
 */
export async function debianBase(): Promise<BaseImage> {
  const cache = await cacheDirectory()
  const layout = join(cache, `debian-${debianSuite}-1`)
  await withFileLock(`${layout}.lock`, async () => {
    if (existsSync(join(layout, 'index.json'))) return
    await using work = await temporaryDirectory()
    const root = work.join('root')
    await checkTool('debootstrap', ['--variant=minbase', debianSuite, root, await debianMirror()])
    await settleDebian(root)
    const draft = `${layout}.draft`
    await rm(draft, { recursive: true, force: true })
    await writeImageLayout(draft, { layers: [await tarOfDirectory(root)], config: { Cmd: ['bash'] } })
    await rename(draft, layout)
  })
  return { layout }
}

/** Copies a base into a registry with skopeo; returns `host/name:tag`. */
export async function pushBase(base: BaseImage, registry: Registry, name: string): Promise<string> {
  const reference = `${registry.host}/${name}`
  const credentials = registry.credentials
  const login = credentials === undefined ? [] : ['--dest-creds', `${credentials.user}:${credentials.password}`]
  const target = `docker://${reference}`
  await checkTool('skopeo', [
    '--insecure-policy',
    'copy',
    '--dest-tls-verify=false',
    ...login,
    `oci:${base.layout}:latest`,
    target,
  ])
  return reference
}

/** Takes out what differs from run to run, and gives the image the apt settings that the mirror needs. */
async function settleDebian(root: string): Promise<void> {
  await runTool(
    'sh',
    ['-c', 'rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* var/log/* dev/* etc/resolv.conf'],
    { cwd: root },
  )
  const dump = await runTool('apt-config', ['dump'])
  const settings = dump.stdout.split('\n').filter((line) => /^Acquire::(Check-|https?::Proxy )/.test(line))
  await writeFile(join(root, 'etc/apt/apt.conf.d/99-from-host'), `${settings.join('\n')}\n`)
}

async function debianMirror(): Promise<string> {
  if (process.env['DEBIAN_MIRROR']) return process.env['DEBIAN_MIRROR']
  const known = await runTool('apt-get', ['indextargets', '--format', '$(REPO_URI) $(ORIGIN)'])
  const uris = known.stdout.split('\n').filter((line) => line.endsWith(' Debian') && !line.includes('security'))
  return uris[0]?.split(' ')[0] ?? 'http://deb.debian.org/debian'
}

/** The manifest of a base, as stored. */
export async function manifestOf(
  base: BaseImage,
): Promise<{ config: { digest: string }; layers: { digest: string; size: number }[] }> {
  const index = JSON.parse(await readFile(join(base.layout, 'index.json'), 'utf8')) as {
    manifests: [{ digest: string }]
  }
  const blob = join(base.layout, 'blobs', index.manifests[0].digest.replace(':', '/'))
  return JSON.parse(await readFile(blob, 'utf8')) as {
    config: { digest: string }
    layers: { digest: string; size: number }[]
  }
}
