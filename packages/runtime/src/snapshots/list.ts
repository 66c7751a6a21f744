import type { SnapshotKind } from './types.ts'

/**
 * How a step's file system is made of layers, the first that works here first. Plain data for flags, help and `info`; a new
 * one is a folder and a line here.
 */
export const snapshots = [
  {
    name: 'overlay',
    summary: 'trees of layers, stacked on the disk of the store',
    load: (): Promise<SnapshotKind> => import('./overlay/overlay.ts'),
  },
  {
    name: 'loop',
    summary: 'the same on an ext4 image in the store; root where there are loop devices',
    load: (): Promise<SnapshotKind> => import('./loop/loop.ts'),
  },
  {
    name: 'tree',
    summary: 'one directory, handed on from step to step',
    load: (): Promise<SnapshotKind> => import('./tree/tree.ts'),
  },
] as const

export type SnapshotName = (typeof snapshots)[number]['name']
