import { foreignPrograms } from '@ts-oci/runtime'
import { BuilderError } from '../../base/errors.ts'
import type { Vertex } from '../../graph/types.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { Platform } from '../../oci/types.ts'
import type { View } from '../../view/types.ts'

export interface ForeignStep {
  readonly platform: Platform
  readonly host: Platform
  /** What the step sees as its root. */
  readonly view: View
  readonly location: Vertex['metadata']['location']
}

/** Says why a step of another platform cannot run here, as far as that is known before it is tried. @throws OCI_STEP_UNSUPPORTED */
export function refuseForeign(step: ForeignStep): void {
  const { platform, host, view } = step
  if (platform.os !== host.os) throw unsupported(step, `${formatPlatform(host)} is another operating system`)
  const programs = foreignPrograms(platform.architecture, host.architecture)
  if (programs.kind === 'none')
    throw unsupported(step, `exec format error: this machine (${formatPlatform(host)}) runs no such programs`)
  if (programs.kind !== 'interpreter' || programs.isOpen) return
  if (view.lookup(programs.path.slice(1), { followLast: true }) !== undefined) return
  throw unsupported(
    step,
    `its interpreter ${programs.path} is not in the image, where the kernel looks for it`,
    'register it with flag F (fix binary), as today’s packages do: apt-get install qemu-user-static; or COPY a static one to that path',
  )
}

function unsupported({ platform, host, location }: ForeignStep, why: string, hint?: string): BuilderError {
  return new BuilderError('OCI_STEP_UNSUPPORTED', `a step for ${formatPlatform(platform)} cannot run: ${why}`, {
    hint: hint ?? foreignHint(platform, host),
    location,
  })
}

/** What helps where the kernel does not execute programs of a platform. */
export function foreignHint(platform: Platform, host: Platform): string {
  const elsewhere = `or run steps in a stage FROM --platform=$BUILDPLATFORM and COPY --from it what they make for $TARGETARCH`
  if (platform.os !== host.os) return elsewhere.slice(3)
  return `install an emulator on the host, as root: apt-get install qemu-user-static (Debian, Ubuntu), dnf install qemu-user-static (Fedora), or docker run --privileged --rm tonistiigi/binfmt --install ${platform.architecture}; ${elsewhere}`
}
