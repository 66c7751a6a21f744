// The parts of the tests, for programs: outside of Jest its globals have nothing to give.
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

const GLOBALS = 'data:text/javascript,export const [describe, test, expect, beforeAll, afterAll] = []'
registerHooks({
  resolve: (name, context, next) =>
    name === '@jest/globals' ? { url: GLOBALS, shortCircuit: true } : next(name, context),
})

/** Absolute path of a file of the checkout. */
export const source = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

export const testing = await import(source('testing/src/index.ts'))
export const { makeBuildWorld } = await import(source('packages/builder/src/api/build.test.helper.ts'))
export const { problemsOfStore } = await import(source('packages/builder/src/store/store-check.test.helper.ts'))
