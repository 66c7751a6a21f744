import { describe, expect, test } from '@jest/globals'
import { build, specs } from '../flags.ts'
import type { Input } from '../flag-types.ts'
import type { UsageError } from '../usage-error.ts'
import { foreignCommands } from './commands.ts'
import { foreignFlags, foreignValues } from './flags.ts'
import { readForeign } from './read.ts'

const parse = (...argv: string[]): Input<typeof build> => readForeign(build, argv)
const commands = Object.entries(foreignFlags)
const allFlags = commands.flatMap(([, flags]) => flags)

function failureOf(...argv: string[]): UsageError {
  try {
    parse(...argv)
  } catch (error) {
    return error as UsageError
  }
  throw new Error('nothing was thrown')
}

/** All flags of `buildah build --help` 1.43, `podman build --help` 5.8, and of kaniko's executor 1.24, but --help. */
const buildah =
  'add-host all-platforms annotation arch authfile build-arg build-arg-file build-context cache-from cache-to cache-ttl cap-add cap-drop cert-dir cgroup-parent cgroupns compat-volumes compress cpp-flag cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems created-annotation creds cw decryption-key device disable-compression disable-content-trust dns dns-option dns-search env file force-rm format from group-add hooks-dir http-proxy identity-label ignorefile iidfile inherit-annotations inherit-labels ipc isolation jobs label layer-label layers logfile logsplit manifest memory memory-swap network no-cache no-hostname no-hosts omit-history os os-feature os-version output pid platform pull quiet retry retry-delay rewrite-timestamp rm runtime runtime-flag sbom sbom-image-output sbom-image-purl-output sbom-merge-strategy sbom-output sbom-purl-output sbom-scanner-command sbom-scanner-image secret security-opt shm-size sign-by skip-unused-stages source-date-epoch squash squash-all ssh stdin tag target timestamp tls-verify ulimit unsetannotation unsetenv unsetlabel userns userns-gid-map userns-gid-map-group userns-uid-map userns-uid-map-user uts variant volume'
const kaniko =
  'verbosity log-format log-timestamp force whitelist-var-run dockerfile context context-sub-path bucket destination snapshot-mode custom-platform build-arg insecure skip-tls-verify insecure-pull skip-tls-verify-pull push-retry push-ignore-immutable-tag-errors image-fs-extract-retry image-download-retry kaniko-dir tar-path single-snapshot reproducible target no-push no-push-cache cache-repo cache-dir digest-file image-name-with-digest-file image-name-tag-with-digest-file oci-layout-path compression compression-level cache compressed-caching cleanup cache-ttl insecure-registry skip-tls-verify-registry registry-certificate registry-client-cert registry-map registry-mirror skip-default-registry-fallback ignore-var-run label skip-unused-stages use-new-run git cache-copy-layers cache-run-layers ignore-path force-build-metadata skip-push-permission-check snapshotMode customPlatform tarPath'
const docker =
  'add-host build-arg cache-from cgroup-parent compress cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems disable-content-trust file force-rm iidfile isolation label memory memory-swap network no-cache platform pull quiet rm security-opt shm-size tag target ulimit allow annotation attest build-context builder cache-to call check debug load metadata-file no-cache-filter output progress provenance push sbom secret ssh'

describe('flags of other builders', () => {
  test.each([
    ['buildah and podman', buildah],
    ['kaniko', kaniko],
    ['docker', docker],
  ])('every flag of %s is one of ours or has a row', (_, flags) => {
    const known = new Set([...build.flags, ...foreignFlags['build']!].map(({ name }) => name))
    expect(flags.split(' ').filter((name) => !known.has(name))).toEqual([])
  })

  test.each(commands)('a row of %s is about a flag that it has not, and says what to use', (command, flags) => {
    const own = specs.find(({ name }) => name === command)!.flags
    expect(flags.filter(({ name }) => own.some((flag) => flag.name === name))).toEqual([])
    const named = new Set(foreignValues[command]?.flatMap(({ typed }) => typed))
    const taken = flags.filter(({ char }) => own.some((flag) => flag.char !== undefined && flag.char === char))
    expect(taken.filter(({ char }) => !named.has(`-${char}`))).toEqual([])
    const names = flags.map(({ name }) => name)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    const unanswered = flags.filter(({ use, as, when, done, isBoolean, note }) => {
      const isWhole = (as !== undefined && when === undefined) || done === 'any' || (isBoolean && done?.length === 2)
      return isWhole !== true && note === undefined && (use ?? '') === ''
    })
    expect(unanswered).toEqual([])
  })

  test('words of ours in the rows are flags that the table has', () => {
    const own = new Set<string>(specs.flatMap(({ flags }) => flags.map(({ name }) => `--${name}`)))
    const texts = [...allFlags, ...foreignCommands].flatMap(({ as = [], use = '' }) => [...as, use])
    const words = texts
      .flatMap((text) => text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [])
      // Of RUN, COPY and systemd-run; and of kaniko, named beside ours.
      .filter((word) => !['--mount', '--from', '--security', '--scope', '--destination', '--version'].includes(word))
    expect(words.filter((word) => !own.has(word))).toEqual([])
  })

  test('a line of kaniko is read as ours', () => {
    const line =
      '--context /workspace --dockerfile=Dockerfile.ci -d r/a:1 --destination=r/a:2 --cache --snapshot-mode=redo ' +
      '--use-new-run --push-retry 3 --cleanup --verbosity=debug --custom-platform=linux/arm64 ' +
      '--skip-tls-verify-registry=r --tar-path /out/a.tar'
    const { args, flags } = parse(...line.split(' '))
    expect(args).toEqual(['/workspace'])
    expect(flags).toMatchObject({
      file: 'Dockerfile.ci',
      tag: ['r/a:1', 'r/a:2'],
      push: true,
      retry: '3',
      platform: ['linux/arm64'],
      'no-cache': false,
      'insecure-registry': ['r'],
      output: ['type=docker,dest=/out/a.tar'],
    })
    expect(parse('--cache=false', '.').flags['no-cache']).toBe(true)
  })

  test('a directory of kaniko, and words of older programs, are read as ours', () => {
    expect(parse('--context=dir:///workspace').args).toEqual(['/workspace'])
    const { flags } = parse('--print=outline', '--pull-never', '.')
    expect([flags.call, flags.pull]).toEqual(['outline', 'never'])
    expect(failureOf('--layers=false', '.').message).toContain('--layers=false: ')
    expect(failureOf('--context=s3://bucket/x').message).not.toContain('does not have')
  })

  test('a line of buildah is read as ours', () => {
    const { args, flags } = parse('--layers', '--format=oci', '--tls-verify', '--arch', 'arm64', '-qt', 'x', '.')
    expect([args, flags.tag, flags.platform, flags.quiet]).toEqual([['.'], ['x'], ['linux/arm64'], true])
  })

  test.each([
    [['-v', '/a:/b', '.'], '-v is a flag of buildah and podman', '--build-context NAME=DIR'],
    [['-qv/a:/b', '.'], '-v is a flag of buildah and podman', 'RUN --mount=type=bind'],
    [['--volume=/a:/b', '.'], '--volume is a flag of buildah and podman', 'RUN --mount=type=bind'],
    [['--tls-verify=false', '.'], '--tls-verify is a flag of buildah and podman', '--insecure-registry'],
    [['--creds', 'me:hunter2', '.'], '--creds is a flag of buildah and podman', 'tsbuild login'],
    [['--context=s3://bucket/x'], '--context is a flag of kaniko', 'name the context last'],
    [['--cache-repo', 'r/cache', '.'], '--cache-repo is a flag of kaniko', '$TSBUILD_HOME'],
    [['--storage-driver', 'vfs', '.'], '--storage-driver is a flag of buildah and podman', '--store DIR'],
  ])('%j is told what to use', (argv, message, hint) => {
    const error = failureOf(...argv)
    expect(error.message).toContain(message)
    expect(error.hint).toContain(hint)
    expect(error.exitCode).toBe(125)
    expect(`${error.message} ${error.hint}`).not.toContain('hunter2')
  })

  test('what nobody knows stays unknown', () => {
    expect(failureOf('--layerz', '.').message).toBe('unknown flag: --layerz')
    expect(failureOf('--layers=often', '.').message).toBe('invalid argument "often" for --layers')
    expect(failureOf('.', '--creds').message).toBe('flag needs an argument: --creds VALUE')
  })
})
