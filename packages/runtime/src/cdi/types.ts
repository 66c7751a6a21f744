/**
 * The Container Device Interface, version 1.1.0: files that say what a container has to be given for a device to work in
 * it. Words are those of the specification.
 */
export interface CdiSpec {
  readonly cdiVersion: string
  /** `vendor/class`. */
  readonly kind: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly devices: readonly CdiSpecDevice[]
  /** For every device of the file. */
  readonly containerEdits?: ContainerEdits
}

export interface CdiSpecDevice {
  readonly name: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly containerEdits: ContainerEdits
}

export interface ContainerEdits {
  readonly env?: readonly string[]
  readonly deviceNodes?: readonly CdiDeviceNode[]
  readonly netDevices?: readonly { readonly hostInterfaceName: string; readonly name: string }[]
  readonly hooks?: readonly { readonly hookName: string; readonly path: string }[]
  readonly mounts?: readonly CdiMount[]
  readonly intelRdt?: Readonly<Record<string, unknown>>
  readonly additionalGids?: readonly number[]
}

export interface CdiDeviceNode {
  readonly path: string
  readonly hostPath?: string
  readonly type?: string
  readonly major?: number
  readonly minor?: number
  readonly fileMode?: number
  readonly permissions?: string
  readonly uid?: number
  readonly gid?: number
}

export interface CdiMount {
  readonly hostPath: string
  readonly containerPath: string
  readonly options?: readonly string[]
  readonly type?: string
}

/** A device as it is asked for by name. */
export interface CdiDevice {
  /** `vendor/class=name`. */
  readonly name: string
  /** Of its file and, where both have one, of itself. */
  readonly annotations: Readonly<Record<string, string>>
  readonly edits: ContainerEdits
  readonly spec: { readonly path: string; readonly edits: ContainerEdits }
}

/** What directories of specifications offer. */
export interface CdiRegistry {
  /** By qualified name, sorted by its bytes. */
  readonly devices: ReadonlyMap<string, CdiDevice>
  /** Files that are not read, devices that two files of one directory have, and why. */
  readonly faults: readonly string[]
}
