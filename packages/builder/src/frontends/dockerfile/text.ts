export * from '../../text.ts'
