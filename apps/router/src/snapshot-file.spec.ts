import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { silentLogger } from '@croft/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { readSnapshotFile, writeSnapshotFile, type KeptTable } from './snapshot-file.js'

const folder = mkdtempSync('/tmp/router-')
const path = `${folder}/table.json`
const ID = '00000000-0000-4000-8000-000000000001'
const TABLE: KeptTable = {
  epoch: 'e1',
  revision: 7,
  items: [
    { host: 'shop.localhost', pathPrefix: '/', appId: ID, appName: 'shop', idleReason: 'crashed', endpoints: [] },
  ],
  draining: [{ address: '10.192.0.2:8080', instanceId: ID }],
}

afterAll(() => rmSync(folder, { recursive: true }))

describe('kept table', () => {
  it('comes back as it was written, and leaves no other file behind', async () => {
    expect(await readSnapshotFile(path, silentLogger)).toBeNull()
    await writeSnapshotFile(path, { ...TABLE, revision: 6 })
    await writeSnapshotFile(path, TABLE)
    expect(await readSnapshotFile(path, silentLogger)).toEqual(TABLE)
    expect(readdirSync(folder)).toEqual(['table.json'])
  })

  it.each([
    ['half of one', '{"version":1,"epo'],
    ['of another version', '{"version":2}'],
    ['empty', ''],
  ])('that is %s is as good as none, and that is logged', async (_what, text) => {
    writeFileSync(path, text)
    const events: string[] = []
    const logger = { ...silentLogger, error: (event: string) => void events.push(event) }
    expect(await readSnapshotFile(path, logger)).toBeNull()
    expect(events).toEqual(['kept-table-unreadable'])
  })
})
