import { describe, expect, it } from 'vitest'
import type { ContainerSpec } from '@croft/garden-api'
import { FakeBackend } from '@croft/garden-api/fake'
import { OWNER, OWNER_PROPERTY } from '@croft/protocol'
import { readConfig } from './config.js'
import { uriOf, withKnown } from './foreign-backend.js'

describe('a backend that knows none of our images', () => {
  const images = {
    resolve: async (uri: string) => ({
      lowerPaths: [`/layers/${uri}/2`, `/layers/${uri}/1`],
      env: ['PATH=/bin', 'A=1'],
    }),
  }

  it('gets the directories they are made of, and their environment below the own one', async () => {
    const fake = new FakeBackend()
    const backend = withKnown(fake, { images, egress: [], homeId: '' })
    await backend.create({ handle: 'a', image: { uri: 'croft:x' }, env: ['A=2'] })
    expect(fake.store.records.get('a')?.spec).toMatchObject({
      image: { uri: 'layers:///layers/croft:x/2:/layers/croft:x/1' },
      env: ['PATH=/bin', 'A=1', 'A=2'],
    })
  })

  it('is asked for everything else itself, an empty root too', async () => {
    const fake = new FakeBackend()
    const backend = withKnown(fake, { images, egress: [], homeId: '' })
    await backend.create({ handle: 'b' })
    expect(fake.store.records.get('b')?.spec).not.toHaveProperty('image')
    await backend.check({ handle: 'c', image: { uri: 'x' } })
    expect((await backend.lookup('b')).handle).toBe('b')
    await backend.destroy('b')
    expect(fake.calls).toEqual(['create b', 'check c', 'lookup b', 'destroy b'])
  })

  it('lets every container through to what the platform may reach in private ranges, beside everything public', async () => {
    const fake = new FakeBackend()
    const egress = [{ host: '10.1.2.3', port: 4873 }]
    await withKnown(fake, { images, egress, homeId: '' }).create({ handle: 'd' })
    expect(fake.store.records.get('d')?.spec).not.toHaveProperty('netOut')
    expect(fake.calls).toEqual(['create d', 'netOut d'])
  })

  it('lets those through that it is for, and no others', async () => {
    const fake = new FakeBackend()
    const egress = [{ host: '10.1.2.3', port: 4873 }]
    const hasEgress = ({ properties }: ContainerSpec): boolean => properties?.['build'] === 'yes'
    const backend = withKnown(fake, { images, egress, hasEgress, homeId: '' })
    await backend.create({ handle: 'app' })
    await backend.create({ handle: 'build', properties: { build: 'yes' } })
    expect(fake.calls).toEqual(['create app', 'create build', 'netOut build'])
  })

  it('keeps no container that cannot be let through', async () => {
    const fake = new FakeBackend()
    fake.inject({ call: 'netOut', error: new Error('no rules here') })
    const backend = withKnown(fake, { images, egress: [{ host: '10.1.2.3', port: 4873 }], homeId: '' })
    await expect(backend.create({ handle: 'e' })).rejects.toThrow('no rules here')
    expect(await fake.containers()).toEqual([])
  })

  it('keeps apart what several platforms have there', async () => {
    const fake = new FakeBackend()
    const [one, two] = ['one', 'two'].map((homeId) => withKnown(fake, { images, egress: [], homeId }))
    const properties = { [OWNER_PROPERTY]: OWNER }
    await one?.create({ handle: 'f', properties })
    await two?.create({ handle: 'g', properties })
    expect((await two?.containers(properties))?.map(({ handle }) => handle)).toEqual(['g'])
    expect(await fake.containers(properties)).toEqual([])
  })

  it.each([
    [['/a'], 'raw:///a'],
    [['/top', '/base'], 'layers:///top:/base'],
  ])('is told %j as %s', (paths, uri) => {
    expect(uriOf(paths)).toBe(uri)
  })
})

describe('the container API an executor uses', () => {
  const env = Object.fromEntries(
    ['HOME', 'RUN', 'CACHE', 'TOOLS', 'SHIM', 'BUILDPACKS', 'PLATFORM_NODE'].map((name) => [`CROFT_${name}`, '/x']),
  )
  const base = { ...env, CROFT_K: '1', CROFT_PLATFORM_NPM: '' }

  it('is its own unless one is named, as an argument before the environment', () => {
    expect(readConfig(base).garden).toBeNull()
    const named = { ...base, CROFT_GARDEN: 'unix:/a', CROFT_GARDEN_TOKEN_FILE: '/t' }
    expect(readConfig(named).garden).toEqual({ address: 'unix:/a', tokenFile: '/t', network: null })
    const args = ['--garden', 'tcp:127.0.0.1:7777', '--garden-network', '10.9.0.0/20']
    expect(readConfig(named, args).garden).toMatchObject({ address: 'tcp:127.0.0.1:7777', network: '10.9.0.0/20' })
  })
  it('is not what somebody mistyped', () => {
    expect(() => readConfig(base, ['--gardn', 'unix:/a'])).toThrow('--gardn')
  })
})
