import { waitFor } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { idOf, killQuietly, routeOf } from './support/router-rig.js'
import { ask, inFlight, ONE, rig, TWO, underLoad, upstream, useRouter } from './support/use-router.js'

/** What of a router goes on while another part of the platform is away. */

useRouter(21_100)

describe('router: when another part is away', () => {
  it('the controller: apps go on serving, the platform’s own host waits for it and then says H99', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    await rig.controller.close()
    const [app, platform] = await Promise.all([ask('shop.localhost'), ask('croft.localhost')])
    expect(app.status).toBe(200)
    expect([platform.status, platform.headers['x-croft-error']]).toEqual([503, 'H99'])
    const waiting = ask('croft.localhost', '/later')
    await rig.controller.open()
    expect((await waiting).status).toBe(200)
    await rig.serve([routeOf('shop', [ONE])])
  }, 20_000)

  it('its own control plane: HAProxy serves on, and the next one adopts it without a reload and says what still drains', async () => {
    await upstream(ONE, 'old')
    await upstream(TWO, 'new')
    await rig.serve([routeOf('shop', [ONE])])
    const slow = await inFlight('shop.localhost', 2500)
    const result = await underLoad('shop.localhost', async () => {
      await rig.stopRouter()
      rig.controller.serve([routeOf('shop', [TWO])])
      rig.controller.reports = []
      await rig.startRouter()
      await waitFor(
        () =>
          rig.controller.status?.appliedRevision === rig.controller.acknowledged && rig.controller.reports.length > 0,
        {
          what: 'a report',
          timeoutMs: 5_000,
        },
      )
      expect(rig.controller.reports[0]?.busyInstances).toContain(idOf(`instance ${ONE}`))
    })
    expect(result.failed).toEqual([])
    expect((await ask('shop.localhost')).headers['x-label']).toBe('new')
    expect((await slow.answer).headers['x-label']).toBe('old')
    expect(rig.haproxy.starts).toBe(1)
  }, 20_000)

  it('control plane and controller both: the new control plane serves the table it kept', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    await rig.stopRouter()
    await rig.controller.close()
    await rig.startRouter()
    expect((await ask('shop.localhost')).status).toBe(200)
    await rig.controller.open()
  })

  it('HAProxy killed: it is back with the same table from its files', async () => {
    await upstream(ONE, 'shop')
    await rig.serve([routeOf('shop', [ONE])])
    killQuietly(rig.haproxy.pid, 'SIGKILL')
    const started = performance.now()
    await waitFor(async () => (await ask('shop.localhost').catch(() => null))?.status === 200, {
      what: 'the app',
      timeoutMs: 5_000,
    })
    expect(performance.now() - started).toBeLessThan(2_000)
    await rig.serve([routeOf('shop', [ONE])])
  }, 20_000)
})
