import { makeFixtureRoot } from '@croft/garden-api/conformance'

/** The conformance suite's root file system with `node` in it: no network, no image needed. */
export async function makeHostRoot(dir: string): Promise<void> {
  await makeFixtureRoot(dir, { node: process.execPath })
}
