import { imageConfigType } from './image-config-type.ts'
import { type BasicType, boolType, type GoType, int64Type, intType, mapType, pointerType, sliceType } from './types.ts'
import { stringType, structType } from './types.ts'

const texts = sliceType(stringType)
const digest: BasicType = { kind: 'string', name: 'digest.Digest' }
const member = (name: string, type: GoType = stringType) => ({ type, member: name })

const platform = {
  Architecture: member('architecture'),
  OS: member('os'),
  OSVersion: member('os.version'),
  OSFeatures: member('os.features', texts),
  Variant: member('variant'),
}

const descriptor = structType('v1.Descriptor', {
  MediaType: member('mediaType'),
  Digest: member('digest', digest),
  Size: member('size', int64Type),
  URLs: member('urls', texts),
  Annotations: member('annotations', mapType(stringType)),
  Platform: member('platform', pointerType(structType('v1.Platform', platform))),
  ArtifactType: member('artifactType'),
})

const index = structType('imagetools.index', {
  SchemaVersion: member('schemaVersion', intType),
  MediaType: member('mediaType'),
  Digest: member('digest', digest),
  Size: member('size', int64Type),
  Manifests: member('manifests', sliceType(descriptor)),
  Annotations: member('annotations', mapType(stringType)),
})

const image = pointerType(
  structType('v1.Image', {
    Created: member('created'),
    Author: member('author'),
    ...platform,
    Config: member('config', imageConfigType),
    RootFS: member('rootfs', structType('v1.RootFS', { Type: member('type'), DiffIDs: member('diff_ids', texts) })),
    History: member(
      'history',
      sliceType(
        structType('v1.History', {
          Created: member('created'),
          CreatedBy: member('created_by'),
          Author: member('author'),
          Comment: member('comment'),
          EmptyLayer: member('empty_layer', boolType),
        }),
      ),
    ),
  }),
)

/** What `docker buildx imagetools inspect` calls the parts of a name: `.Image` is a map where the index has several. */
export function imagetoolsType(isIndex: boolean, isSeveral: boolean): GoType {
  return structType(isSeveral ? 'imagetools.tplInputs' : 'imagetools.tplInput', {
    Name: member('name'),
    Manifest: member('manifest', isIndex ? index : descriptor),
    Image: member('image', isSeveral ? mapType(image) : image),
  })
}
