import { access, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { run, waitFor } from '@croft/kit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, ExecutorRig, SERVER } from './support/executor-rig.js'

/** The executor's process over real containers: what it keeps running while it, or the controller, is away. */

let rig: ExecutorRig

beforeAll(async () => {
  rig = await ExecutorRig.make()
  rig.start()
})
afterEach(async () => {
  await rig.controller.close()
  await rig.controller.listen()
  rig.controller.want([])
  await waitFor(async () => (await rig.leftovers()).length === 0, { what: 'everything to be gone', timeoutMs: 30_000 })
})
afterAll(async () => {
  await rig.close()
})

/** The host's number of an instance's process. */
async function pidOf(handle: string | null): Promise<number> {
  const started = await readFile(join(rig.home, 'node/containers', handle ?? '', 'proc/main/started'), 'utf8')
  return Number(started.split(' ')[0])
}

describe('a service instance in a real container', () => {
  it('serves at its address, as the app user inside and as nobody of importance on the host', async () => {
    const web = rig.web()
    rig.controller.want([web])
    const { address, handle } = await rig.observed(web.id, 'ready')
    expect((await ask(address)).split(' ')[1]).toBe('1002')
    const uid = /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${await pidOf(handle)}/status`, 'utf8'))?.[1]
    expect(Number(uid)).toBeGreaterThanOrEqual(100_000)
  })

  it('serves again within 3 s of a crash, at the same address, also without a controller', async () => {
    const web = rig.web()
    rig.controller.want([web])
    const { address } = await rig.observed(web.id, 'ready')
    await rig.controller.close()
    for (let crash = 0; crash < 3; crash += 1) {
      const before = await ask(address)
      const crashedAt = performance.now()
      await ask(address, '/crash').catch(() => undefined)
      await waitFor(async () => (await ask(address)) !== '', { what: 'an answer', timeoutMs: 3_000 })
      expect(performance.now() - crashedAt).toBeLessThan(3_000)
      expect(before).toMatch(/ 1002$/)
    }
  })

  it('comes back when its shim is killed', async () => {
    const web = rig.web()
    rig.controller.want([web])
    const { address, handle } = await rig.observed(web.id, 'ready')
    const { stdout } = await run('ps', ['-eo', 'pid,args'], { timeoutMs: 5_000 })
    const shim = stdout
      .toString()
      .split('\n')
      .find((line) => line.includes('croft-init shim') && line.includes(`/${handle} `))
    process.kill(Number.parseInt(shim?.trim() ?? '', 10), 'SIGKILL')
    const after = await rig.observed(web.id, 'ready', ({ restarts }) => restarts === 1)
    expect(after.address).toBe(address)
    await ask(address)
  })

  it.each([
    { what: 'on another port', env: { PORT: '9999' }, reason: 'port-wrong', says: '9999' },
    {
      what: 'only on 127.0.0.1',
      env: { PORT: '8080', BIND: '127.0.0.1' },
      reason: 'port-on-loopback',
      says: '127.0.0.1',
    },
  ])('that listens $what is told so', async ({ env, reason, says }) => {
    const web = rig.web(SERVER, { env, bootTimeoutMs: 1_500 })
    rig.controller.want([web])
    const status = await rig.observed(web.id, ['exited', 'backoff'], ({ crashesBeforeReady }) => crashesBeforeReady > 0)
    expect(status.reason).toBe(reason)
    expect(status.message).toContain(says)
  })

  it('is told which memory limit it broke', async () => {
    const web = rig.web('const all = []; setInterval(() => all.push(Buffer.alloc(16 << 20, 1)), 1)')
    rig.controller.want([web])
    const status = await rig.observed(web.id, 'backoff')
    expect(status).toMatchObject({ reason: 'out-of-memory', message: 'it needed more than its 256 MiB of memory' })
  })

  it('is asked to end and leaves nothing behind', async () => {
    const web = rig.web(`process.on('SIGTERM', () => { console.log('goodbye'); process.exit() }); ${SERVER}`)
    rig.controller.want([web])
    await rig.observed(web.id, 'ready')
    rig.controller.want([{ ...web, intent: 'stop' }])
    await waitFor(() => rig.controller.status(web.id) === undefined, { what: 'it to end', timeoutMs: 10_000 })
    await waitFor(async () => (await rig.leftovers()).length === 0, { what: 'everything to go', timeoutMs: 5_000 })
    const kept = await readFile(join(rig.home, 'node/logs', web.appId, 'current.jsonl'), 'utf8')
    expect(kept).toContain('"goodbye"')
  })
})

describe.each(['SIGKILL', 'SIGTERM'] as const)('when the executor gets %s and starts again', (signal) => {
  it('its instances keep their processes, no request at 100/s fails, and no line of output is lost or repeated', async () => {
    const web = rig.web(SERVER, { env: { PORT: '8080', COUNT: 'yes' } })
    rig.controller.want([web])
    const before = await rig.observed(web.id, 'ready')
    const failures: string[] = []
    let answers = 0
    let isOver = false
    const asking = (async (): Promise<void> => {
      while (!isOver) {
        const turn = delay(10)
        ask(before.address).then(
          () => (answers += 1),
          (error: unknown) => failures.push(String(error)),
        )
        await turn
      }
    })()
    await delay(300)
    await rig.end(signal)
    await delay(700)
    const reports = rig.controller.reports.length
    rig.start()
    await waitFor(() => rig.controller.reports.length > reports + 2, { what: 'it to report', timeoutMs: 15_000 })
    await delay(500)
    isOver = true
    await asking
    expect(failures).toEqual([])
    expect(answers).toBeGreaterThan(100)
    const told = rig.controller.reports.slice(reports).flatMap(({ statuses }) => statuses ?? [])
    expect(new Set(told.map(({ observed, handle, startedAt }) => `${observed} ${handle} ${startedAt}`))).toEqual(
      new Set([`ready ${before.handle} ${before.startedAt}`]),
    )
    const rules = await run('nft', ['list', 'table', 'inet', `croft_${rig.k}`], { timeoutMs: 5_000 })
    expect(rules.stdout.toString()).toContain(before.address?.split(':')[0])
    const path = join(rig.home, 'node/logs', web.appId, 'current.jsonl')
    const numbers = [...(await readFile(path, 'utf8')).matchAll(/"line":"n=(\d+)"/g)].map((match) => Number(match[1]))
    expect(numbers.length).toBeGreaterThan(200)
    expect(numbers).toEqual(numbers.map((_number, index) => index))
  })

  it('what crashed meanwhile serves again at its address, also without a controller', async () => {
    const web = rig.web()
    rig.controller.want([web])
    const { address } = await rig.observed(web.id, 'ready')
    await rig.controller.close()
    await rig.end(signal)
    await ask(address, '/crash').catch(() => undefined)
    rig.start()
    await waitFor(async () => (await ask(address)) !== '', { what: 'an answer', timeoutMs: 5_000 })
  })
})

describe('an executor whose address book is lost', () => {
  it('takes the addresses of what runs from the containers', async () => {
    const [web, other] = [rig.web(), rig.web()]
    rig.controller.want([web])
    const { address } = await rig.observed(web.id, 'ready')
    await rig.end('SIGKILL')
    await rm(join(rig.home, 'node/addresses.json'))
    const before = await ask(address)
    rig.start()
    rig.controller.want([web, other])
    expect((await rig.observed(other.id, 'ready')).address).not.toBe(address)
    expect(await ask(address)).toBe(before)
  })
})

describe('a host on which the executor ends in order', () => {
  it('still has its containers, and their sockets', async () => {
    const web = rig.web()
    rig.controller.want([web])
    const { address } = await rig.observed(web.id, 'ready')
    await rig.end('SIGTERM')
    await access(join(rig.home, 'node/containers'))
    await ask(address)
    rig.start()
  })
})
