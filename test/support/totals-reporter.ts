import type { Reporter, TestModule } from 'vitest/node'

/** Closes a run with the one line that machines read: `N passed, N failed, N skipped`. */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const totals = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      const before = totals.failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') totals.passed += 1
        else if (state === 'failed') totals.failed += 1
        else totals.skipped += 1
      }
      // a file that could not be loaded, or whose hooks failed, has failed even if no test of it has
      if (module.state() === 'failed' && totals.failed === before) totals.failed += 1
    }
    // after the summary of the default reporter, which prints in the same hook
    process.once('beforeExit', () => {
      console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
    })
    process.once('exit', () => undefined)
  }
}
