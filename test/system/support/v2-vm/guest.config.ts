import { defineConfig } from 'vitest/config'

const conditions = ['croft-src', 'module', 'node', 'development|production']

/** For specs inside the emulated machine, ten to twenty times slower than its host. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['croft-src', 'node'] } },
  test: {
    name: 'guest',
    include: ['test/system/**/*.spec.ts'],
    reporters: ['verbose'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
})
