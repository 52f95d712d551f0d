import { describe, expect } from 'vitest'
import { AlreadyInUseError } from '../../errors.js'
import { commands, SIGTERM } from '../commands.js'
import { waitForLog } from '../streams.js'
import type { Suite } from '../suite.js'

/** What a backend that died leaves to the next one. */
export function describeAdoption(suite: Suite): void {
  describe('adoption', () => {
    suite.api('defect 4: finds a running process again after the backend died, and how it ended later', async () => {
      const container = await suite.backend.create({ ...suite.base, handle: 'adopted', properties: { mine: 'yes' } })
      await container.run({ ...commands.trap(23), id: 'survivor' })
      await waitForLog(container, 'survivor', 'ready')
      await (await container.run({ ...commands.exit(4), id: 'earlier' })).wait()
      const address = (await container.info()).containerIp

      const second = await suite.underTest.reopen()
      expect((await second.recover()).adopted).toContain('adopted')
      const same = await second.lookup('adopted')
      expect(await same.info()).toMatchObject({ containerIp: address, properties: { mine: 'yes' } })
      expect((await (await same.attach('earlier')).wait()).exitCode).toBe(4)
      expect((await same.readLog('survivor', 'stdout')).data.toString()).toBe('ready\n')
      const survivor = await same.attach('survivor')
      await survivor.signal(SIGTERM)
      expect((await survivor.wait()).exitCode).toBe(23)
      await expect(second.create({ ...suite.base, network: address })).rejects.toThrow(AlreadyInUseError)
      await second.destroy('adopted')
      await second.close()
      await suite.backend.destroy('adopted', { ifExists: true })
    })
  })
}
