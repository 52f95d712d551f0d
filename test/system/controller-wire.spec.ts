import { waitFor } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { bumpRevision, readRevision } from '../../apps/controller/src/db/revision.js'
import { ScriptedNode } from './support/scripted-node.js'
import { node, rig, router, useScriptedPlatform } from './support/scripted-platform.js'
import { call } from './support/socket-call.js'

/** What nodes and routers hear of the controller: numbered revisions, ranges, answers to reports and polls. */

useScriptedPlatform()

describe('revisions', () => {
  it('are seen in order by a reader that remembers the last number, also with many writers at once', async () => {
    const written: number[] = []
    const writers = Array.from({ length: 6 }, async () => {
      for (let index = 0; index < 20; index += 1) {
        await rig.dataSource.transaction(async (manager) => {
          const revision = await bumpRevision(manager, 'node:order')
          await manager.query(`INSERT INTO setting (key, value) VALUES ($1, $2)`, [`order-${revision}`, revision])
          written.push(revision)
        })
      }
    })
    let isDone = false
    const seen = new Set<number>()
    const reader = (async () => {
      let last = 0
      while (!isDone || seen.size < written.length) {
        const now = await readRevision(rig.dataSource.manager, 'node:order')
        const rows = await rig.dataSource.query<{ value: number }[]>(
          `SELECT value FROM setting WHERE key LIKE 'order-%' AND (value)::bigint > $1 AND (value)::bigint <= $2`,
          [last, now],
        )
        for (const row of rows) seen.add(Number(row.value))
        last = now
      }
    })()
    await Promise.all(writers)
    isDone = true
    await reader
    expect([...seen].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1))
  })
})

describe('the wire', () => {
  it('gives a node the same range on every join, and two nodes different ones', async () => {
    const first = node.network
    await node.join()
    expect(node.network).toBe(first)
    expect(first).toMatch(/^10\.\d+\.\d+\.0\/20$/)
  })

  it('moves a node that booted to another range when its host routes the old one by now', async () => {
    const other = new ScriptedNode(rig.nodeSocket, 'moving')
    await other.join()
    const { network } = other
    other.bootId = 'another boot'
    await other.join([network, '0.0.0.0/0', 'fe80::/64'])
    expect(other.network).not.toBe(network)
    await rig.dataSource.query(`DELETE FROM node WHERE name = 'moving'`)
  })

  it('asks for all statuses when the hash is another one, and refuses a node nobody knows', async () => {
    const report = {
      bootId: node.bootId,
      epoch: null,
      appliedRevision: 0,
      capacity: { memoryBytes: 1, diskBytes: 1, cpuMillis: 1, maxInstances: 1 },
      statusHash: 'other',
    }
    expect(await call(rig.nodeSocket, 'PUT', `/v1/nodes/${node.nodeId}/status`, report)).toMatchObject({
      status: 409,
      body: { code: 'send-full' },
    })
    expect(
      await call(rig.nodeSocket, 'PUT', `/v1/nodes/0190a000-0000-7000-8000-000000000000/status`, report),
    ).toMatchObject({
      status: 404,
      body: { code: 'node-unknown' },
    })
    expect(
      await call(rig.nodeSocket, 'PUT', `/v1/nodes/${node.nodeId}/status`, { ...report, capacity: 1 }),
    ).toMatchObject({
      status: 400,
      body: { code: 'bad-input' },
    })
  })

  it('answers 204 to a poll when nothing is newer', async () => {
    // the table may still be catching up with the deployments before
    await waitFor(
      async () => {
        const path = `/v1/routes?router=router-2&epoch=${router.table?.epoch}&after=${router.table?.revision}&wait=0`
        return (await call(rig.controlSocket, 'GET', path)).status === 204
      },
      { what: 'a poll with the newest revision to be answered 204', timeoutMs: 5_000 },
    )
    await rig.dataSource.query(`DELETE FROM router WHERE id = 'router-2'`)
  })
})
