export * from '../../../base/text.ts'
