import { defineConfig } from 'vitest/config'

const conditions = ['croft-src', 'module', 'node', 'development|production']
const resolve = { conditions }
// specs lie outside the packages' tsconfig files, which would say this of them
const oxc = { decorator: { legacy: true, emitDecoratorMetadata: true } }
const ssr = { resolve: { conditions, externalConditions: ['croft-src', 'node'] } }

/** `unit`: pure and fake-backed, no root, no network. `system`: root, kernel, real PostgreSQL, Redis, HAProxy, git. */
export default defineConfig({
  test: {
    reporters: ['default', './test/support/totals-reporter.ts'],
    projects: [
      {
        resolve,
        ssr,
        oxc,
        test: {
          name: 'unit',
          include: ['{apps,libs,buildpacks}/*/src/**/*.spec.ts', 'test/*.spec.ts'],
          pool: 'forks',
          maxWorkers: 3, // they wait more than they work, and the default on two cores is one
          isolate: false, // a worker for each of a hundred small files costs more than they do
          testTimeout: 10_000,
        },
      },
      {
        resolve,
        ssr,
        oxc,
        test: {
          name: 'system',
          include: ['test/system/**/*.spec.ts'],
          pool: 'forks',
          fileParallelism: false,
          globalSetup: ['./test/system/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
