import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { inOrderOfTurns, MAX_AT_ONCE, turnOf } from './test/support/turns.js'

const conditions = ['croft-src', 'module', 'node', 'development|production']
const resolve = { conditions }
// specs lie outside the packages' tsconfig files, which would say this of them
const oxc = { decorator: { legacy: true, emitDecoratorMetadata: true } }
const ssr = { resolve: { conditions, externalConditions: ['croft-src', 'node'] } }

/** Those that run side by side first, and each beside one of another kind: with all others between them no two would meet. */
class InOrderOfTurns extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const units = sorted.filter((spec) => spec.project.name !== 'system')
    const system = sorted.filter((spec) => spec.project.name === 'system')
    return [...units, ...inOrderOfTurns(system, (spec) => turnOf(spec.moduleId))]
  }
}

/** `unit`: pure and fake-backed, no root, no network. `system`: root, kernel, real PostgreSQL, Redis, HAProxy, git. */
export default defineConfig({
  test: {
    sequence: { sequencer: InOrderOfTurns },
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
          // while a disk writes back what the set-up left, a file may take ten seconds to be made
          testTimeout: 30_000,
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
          maxWorkers: MAX_AT_ONCE + 1, // the last has the next file ready for its turn: see the setup
          sequence: { groupOrder: 1 },
          globalSetup: ['./test/system/global-setup.ts'],
          setupFiles: ['./test/support/take-turn.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
