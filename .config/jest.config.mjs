import { availableParallelism } from 'node:os'

/** Jest settings, named as a preset in package.json so that `npx jest PATH` finds them. */
export default {
  extensionsToTreatAsEsm: ['.ts'],
  roots: ['<rootDir>/packages', '<rootDir>/testing'],
  testEnvironment: 'node',
  setupFiles: ['<rootDir>/.config/jest-umask.mjs'],
  // Sources of the other packages are read as they are: no build stands between an edit and its tests.
  testEnvironmentOptions: { customExportConditions: ['@ts-oci/source', 'node', 'node-addons'] },
  testMatch: ['**/src/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  transform: { '\\.ts$': '<rootDir>/.config/jest-strip-types.mjs' },
  // Most of a suite is waiting for processes. Jest leaves one core free: on two that is one suite at a time, which takes
  // two thirds longer (68 s against 41, the same 14 s of processor).
  maxWorkers: Math.max(2, availableParallelism()),
  // Tests start real processes, registries and mounts.
  testTimeout: 60_000,
}
