export type * from './progress.ts'
export type * from './public-types.ts'
