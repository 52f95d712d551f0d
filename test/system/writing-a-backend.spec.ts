import type { ChildProcess } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createGardenClient } from '@croft/garden-api/http'
import { start, waitFor } from '@croft/kit'

/** docs/writing-a-backend.md, followed literally: its program as it stands there. The suites it names are tried by their own specs. */

const ROOT = resolve(import.meta.dirname, '../..')
const program = join(ROOT, `my-backend-${process.pid}.mjs`)
const address = `unix:/tmp/my-backend-${process.pid}.sock`
let child: ChildProcess | undefined
afterAll(async () => {
  child?.kill('SIGKILL')
  await rm(program, { force: true })
  await rm(address.slice('unix:'.length), { force: true })
})

it('the backend of the page on writing one starts, and serves containers and their processes', async () => {
  const page = await readFile(join(ROOT, 'docs/writing-a-backend.md'), 'utf8')
  const [, code] = /^```js\n([^]*?)^```$/m.exec(page) ?? []
  await writeFile(program, code ?? '')
  child = start(process.execPath, [program, address], { cwd: ROOT, stdio: 'ignore' })
  const backend = createGardenClient({ address })
  await waitFor(async () => await backend.ping().then(() => true), { what: 'it to answer', timeoutMs: 10_000 })
  const container = await backend.create({ handle: 'first' })
  const probe = await container.run({ path: '/bin/true' })
  expect(await probe.wait()).toMatchObject({ exitCode: 0 })
  const web = await container.run({ id: 'web', path: '/cnb/process/web' })
  expect((await container.processes()).find(({ id }) => id === 'web')?.state).toBe('running')
  await web.signal(9)
  await backend.destroy('first')
  await backend.close()
})
