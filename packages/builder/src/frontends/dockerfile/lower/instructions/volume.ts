import type { VolumeInstruction } from '../../read/ast.ts'
import { Complaint } from '../../expand/complaint.ts'
import { addHistory } from '../image-config.ts'
import type { Lowering } from '../context.ts'
import { formatList } from '../go-format.ts'

export const lowerVolume: Lowering<VolumeInstruction> = ({ stage, epoch, expand }, instruction) => {
  const volumes = instruction.volumes.map(expand)
  for (const volume of volumes) {
    if (volume === '') throw new Complaint('VOLUME specified can not be an empty string')
    stage.image.config.volumes.add(volume)
  }
  addHistory(stage.image, `VOLUME ${formatList(volumes)}`, false, epoch)
}
