/** Jest settings, named as a preset in package.json so that `npx jest PATH` finds them. */
export default {
  extensionsToTreatAsEsm: ['.ts'],
  roots: ['<rootDir>/packages', '<rootDir>/testing'],
  testEnvironment: 'node',
  // Sources of the other packages are read as they are: no build stands between an edit and its tests.
  testEnvironmentOptions: { customExportConditions: ['@ts-oci/source', 'node', 'node-addons'] },
  testMatch: ['**/src/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  transform: { '\\.ts$': '<rootDir>/.config/jest-strip-types.mjs' },
  // Tests start real processes, registries and mounts.
  testTimeout: 60_000,
}
