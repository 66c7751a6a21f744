// Headers of a tar, read here a second time so that what is expected of a layer does not come from the code that wrote it.
import { closeSync, openSync, readSync } from 'node:fs'

/** path → { uid, gid, mode, capability } of every entry of a tar: ustar with PAX records (POSIX.1-2001). */
export function readTar(path) {
  const file = openSync(path, 'r')
  const found = new Map()
  try {
    const header = Buffer.alloc(512)
    let at = 0
    let records = {}
    while (readSync(file, header, 0, 512, at) === 512 && header[0] !== 0) {
      const size = octal(header, 124, 12)
      const type = String.fromCharCode(header[156])
      if (type === 'x') records = readRecords(file, at + 512, size)
      else {
        found.set(records.path ?? nameOf(header), entryOf(header, records))
        records = {}
      }
      at += 512 + Math.ceil(Number(records.size ?? size) / 512) * 512
    }
  } finally {
    closeSync(file)
  }
  return found
}

function entryOf(header, records) {
  return {
    uid: Number(records.uid ?? octal(header, 108, 8)),
    gid: Number(records.gid ?? octal(header, 116, 8)),
    mode: octal(header, 100, 8) & 0o7777,
    capability: records['SCHILY.xattr.security.capability'],
  }
}

function nameOf(header) {
  const prefix = text(header, 345, 155)
  return prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`
}

/** `LENGTH KEY=VALUE\n`; the value of a capability is binary, and told in hexadecimal digits. */
function readRecords(file, at, size) {
  const all = Buffer.alloc(size)
  readSync(file, all, 0, size, at)
  const records = {}
  for (let start = 0; start < size;) {
    const blank = all.indexOf(0x20, start)
    const end = start + Number(all.toString('latin1', start, blank))
    const equals = all.indexOf(0x3d, blank)
    const key = all.toString('utf8', blank + 1, equals)
    records[key] = all.toString(key.startsWith('SCHILY.xattr.security.') ? 'hex' : 'utf8', equals + 1, end - 1)
    start = end
  }
  return records
}

function octal(header, start, length) {
  return Number.parseInt(text(header, start, length).trim() || '0', 8)
}

function text(header, start, length) {
  const end = header.indexOf(0, start)
  return header.toString('utf8', start, end === -1 || end > start + length ? start + length : end)
}
