// Reads the first image of an OCI layout into plain values that can be compared.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

/** Config, and per layer the entries by path. Throws when a digest or a size is not what the layout says. */
export function readLayout(directory) {
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'))
  const manifest = readManifest(directory, index)
  const config = JSON.parse(readBlob(directory, manifest.config))
  const layers = (manifest.layers ?? []).map((descriptor, at) => {
    const tar = inflate(readBlob(directory, descriptor))
    const diffId = config.rootfs.diff_ids[at]
    if (digestOf(tar) !== diffId) throw new Error(`the layer ${descriptor.digest} is not ${diffId}`)
    return readEntries(tar)
  })
  return { config, layers, diffIds: config.rootfs.diff_ids ?? [], tree: flatten(layers) }
}

function readManifest(directory, index) {
  const descriptor = index.manifests.find(({ annotations }) => annotations?.['vnd.docker.reference.type'] === undefined)
  const document = JSON.parse(readBlob(directory, descriptor))
  return document.manifests === undefined ? document : readManifest(directory, document)
}

function readBlob(directory, { digest, size }) {
  const bytes = readFileSync(join(directory, 'blobs', ...digest.split(':')))
  if (bytes.length !== size || digestOf(bytes) !== digest) throw new Error(`the blob ${digest} is not what it says`)
  return bytes
}

const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

function inflate(bytes) {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes)
  return bytes.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(bytes) : bytes
}

const TYPES = { '\0': 'file', 0: 'file', 1: 'hardlink', 2: 'symlink', 3: 'char', 4: 'block', 5: 'dir', 6: 'fifo' }

function readEntries(tar) {
  const entries = []
  let extended = {}
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + 512)
    const size = Number(extended.size ?? octal(header, 124, 12))
    const body = tar.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
    const type = String.fromCharCode(header[156])
    if (type === 'x') extended = readRecords(body)
    else {
      entries.push(readEntry(header, type, body, extended))
      extended = {}
    }
  }
  return entries
}

function readEntry(header, type, body, extended) {
  const prefix = text(header, 345, 155)
  const name = extended.path ?? (prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`)
  const kind = TYPES[type] ?? `type ${type}`
  return {
    path: `/${name.replace(/^\/+|\/+$/g, '')}`,
    type: kind,
    mode: kind === 'symlink' ? undefined : octal(header, 100, 8),
    uid: Number(extended.uid ?? octal(header, 108, 8)),
    gid: Number(extended.gid ?? octal(header, 116, 8)),
    mtime: Math.floor(Number(extended.mtime ?? octal(header, 136, 12))),
    link: kind === 'symlink' || kind === 'hardlink' ? (extended.linkpath ?? text(header, 157, 100)) : undefined,
    content: kind === 'file' ? digestOf(body) : undefined,
    device: kind === 'char' || kind === 'block' ? `${octal(header, 329, 8)}:${octal(header, 337, 8)}` : undefined,
    attributes: Object.fromEntries(Object.entries(extended).filter(([key]) => key.startsWith('SCHILY.xattr.'))),
  }
}

function text(header, from, length) {
  const end = header.indexOf(0, from)
  return header.subarray(from, end === -1 || end > from + length ? from + length : end).toString('utf8')
}

function octal(header, from, length) {
  return Number.parseInt(text(header, from, length).trim() || '0', 8)
}

function readRecords(body) {
  const records = {}
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at)
    const end = at + Number(body.subarray(at, space).toString())
    const record = body.subarray(space + 1, end - 1).toString('utf8')
    const equals = record.indexOf('=')
    records[record.slice(0, equals)] = record.slice(equals + 1)
    at = end
  }
  return records
}

function flatten(layers) {
  const tree = new Map()
  const removeBelow = (path) => {
    for (const known of tree.keys()) if (known.startsWith(`${path}/`)) tree.delete(known)
  }
  for (const entries of layers) {
    for (const entry of entries) {
      const slash = entry.path.lastIndexOf('/')
      const name = entry.path.slice(slash + 1)
      if (name.startsWith('.wh.')) {
        const removed = `${entry.path.slice(0, slash)}/${name.slice(4)}`
        tree.delete(removed)
        removeBelow(removed)
        continue
      }
      if (entry.type !== 'dir') removeBelow(entry.path)
      tree.set(entry.path, entry)
    }
  }
  return tree
}
