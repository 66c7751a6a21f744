import { describe, expect, test } from '@jest/globals'
import { checkMount, parseDevice, parseMount } from './mount.ts'

const unchanged = (value: string): string => value

// Messages as the docker CLI's BuildKit gave them for `RUN --mount=SPEC x`.
const ERRORS: [spec: string, message: string][] = [
  ['type=cach,target=/x', 'unsupported mount type "cach" (did you mean cache?)'],
  ['typ=cache,target=/x', "unexpected key 'typ' in 'typ=cache' (did you mean type?)"],
  ['target', "invalid field 'target' must be a key=value pair"],
  [
    'type=bind,"target=/a,b',
    'failed to parse csv mounts: parse error on line 1, column 12: extraneous or missing " in quoted-field',
  ],
  ['type=bind,target="/a"', 'failed to parse csv mounts: parse error on line 1, column 18: bare " in non-quoted field'],
  ['', 'failed to parse csv mounts: EOF'],
  ['type=secret', 'invalid secret mount. one of source, target required'],
  ['type=secret,id=a,source=b', "both source and id can't be set"],
  ['type=secret,id=a,sharing=shared', 'secret mount should not define sharing'],
  ['type=secret,id=a,from=b', 'secret mount should not have a from'],
  ['type=bind,target=/x,sharing=shared', 'invalid cache sharing set for bind mount'],
  ['type=bind,target=/x,mode=0777', 'mode not allowed for "bind" type mounts'],
  ['type=tmpfs,target=/x,uid=1', 'uid not allowed for "tmpfs" type mounts'],
  ['type=cache,target=/x,mode=8', 'invalid value 8 for mode'],
  ['type=cache,target=/x,uid=-1', 'invalid value -1 for uid'],
  ['type=cache,target=/x,gid=4294967296', 'invalid value 4294967296 for gid'],
  ['type=cache,target=/x,sharing=shard', 'unsupported sharing value "shard" (did you mean shared?)'],
  ['type=cache,target=/x,required', "unexpected key 'required' for mount type 'cache'"],
  ['type=cache,target=/x,required=true', "unexpected key 'required' for mount type 'cache'"],
  ['type=cache,target=/x,size=5', "unexpected key 'size' for mount type 'cache'"],
  ['type=tmpfs,target=/x,size=abc', 'invalid value for size: abc'],
  ['type=cache,target=/x,ro=maybe', 'invalid value for ro: maybe'],
]

describe('parseMount', () => {
  test.each(ERRORS)('%s is refused in the words of BuildKit', (spec, message) => {
    expect(() => parseMount(spec, unchanged)).toThrow(message)
  })

  test('every key of a cache mount is read', () => {
    const spec = 'TYPE=Cache,id=i,dst=/x,ro,sharing=LOCKED,from=f,src=s,mode=0755,uid=1,gid=2'
    expect(parseMount(spec, unchanged)).toEqual({
      type: 'cache',
      from: 'f',
      source: 's',
      target: '/x',
      readOnly: true,
      sizeLimitBytes: 0,
      id: 'i',
      sharing: 'locked',
      required: false,
      env: undefined,
      mode: 0o755,
      uid: 1,
      gid: 2,
    })
  })

  test.each([
    ['type=bind,target=/x', true],
    ['target=/x,rw', false],
    ['target=/x,readwrite=false', true],
    ['type=cache,target=/x', false],
    ['type=tmpfs,target=/x', false],
    ['type=cache,target=/x,readonly=1', true],
    ['type=secret,id=x', true],
    ['type=ssh', true],
  ])('%s is read-only: %s', (spec, readOnly) => {
    expect(parseMount(spec, unchanged).readOnly).toBe(readOnly)
  })

  test.each([
    ['64m', 67_108_864],
    ['1.5GiB', 1_610_612_736],
    ['10 kb', 10_240],
    ['7', 7],
    ['2b', 2],
    ['999999999999g', Number.MAX_SAFE_INTEGER],
  ])('a size of %s is %d bytes', (size, bytes) => {
    expect(parseMount(`type=tmpfs,target=/x,size=${size}`, unchanged).sizeLimitBytes).toBe(bytes)
  })

  test('quoted fields hold commas and doubled quotes', () => {
    expect(parseMount('type=bind,"target=/a,""b""",source=c', unchanged)).toMatchObject({
      target: '/a,"b"',
      source: 'c',
    })
  })

  test('variables in values are expanded, keys are not', () => {
    expect(parseMount('type=$T,target=$T,env=', (value) => value.replace('$T', 'secret'))).toMatchObject({
      type: 'secret',
      target: 'secret',
      env: '',
    })
  })

  test('a key that depends on the type comes behind it', () => {
    expect(() => parseMount('required,type=secret,id=x', unchanged)).toThrow(
      "unexpected key 'required' for mount type 'bind'",
    )
  })
})

describe('checkMount', () => {
  test('only from cannot have a variable', () => {
    checkMount('type=$x,target=$y,nonsense')
    checkMount('from=a$')
    expect(() => checkMount('from=$x')).toThrow("'from' doesn't support variable expansion, define alias stage instead")
  })
})

describe('parseDevice', () => {
  test.each([
    ['vendor.com/class=dev', { name: 'vendor.com/class=dev', required: false }],
    ['vendor.com/class', { name: 'vendor.com/class', required: false }],
    ['a=b,required', { name: 'a=b', required: true }],
    ['name=a=b,required=0', { name: 'a=b', required: false }],
  ])('%s', (spec, device) => {
    expect(parseDevice(spec)).toEqual(device)
  })

  test.each([
    ['a,name=b', 'device name already set to a'],
    ['a,requird=1', "unexpected key 'requird' in 'requird=1' (did you mean required?)"],
    ['a,b', "invalid field 'b' must be a key=value pair"],
  ])('%s is refused', (spec, message) => {
    expect(() => parseDevice(spec)).toThrow(message)
  })
})
