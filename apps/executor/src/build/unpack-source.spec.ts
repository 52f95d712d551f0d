import { Readable } from 'node:stream'
import type { Container } from '@croft/garden-api'
import { describe, expect, it } from 'vitest'
import { SourceFailed } from './failures.js'
import { unpackSource } from './unpack-source.js'

type StreamInSpec = Parameters<Container['streamIn']>[0]

describe('the source of a build', () => {
  const tarOf = (): Readable => Readable.from([Buffer.from('tar')])
  const container = (streamIn: (spec: StreamInSpec) => Promise<void> = () => Promise.resolve()) => ({ streamIn })

  it('is unpacked into the workspace', async () => {
    const told: StreamInSpec[] = []
    const unpacking = container((spec) => Promise.resolve(void told.push(spec)))
    await unpackSource(unpacking, '1:1', Promise.resolve(tarOf()), new AbortController().signal)
    expect(told).toMatchObject([{ user: '1:1', path: '/workspace' }])
  })

  it('that cannot be read or unpacked is named as what failed, and let go', async () => {
    const { signal } = new AbortController()
    const unread = unpackSource(container(), '1:1', Promise.reject(new Error('the controller is away')), signal)
    await expect(unread).rejects.toThrow(new SourceFailed('the controller is away'))
    const tar = tarOf()
    const full = container(() => Promise.reject(new Error('no space left')))
    await expect(unpackSource(full, '1:1', Promise.resolve(tar), signal)).rejects.toThrow(SourceFailed)
    expect(tar.destroyed).toBe(true)
  })

  it('that broke off before there was a container is waited for by nobody', async () => {
    const tar = tarOf()
    tar.on('error', () => undefined).destroy(new Error('the connection was reset'))
    const never = container(() => new Promise<void>(() => undefined))
    const unpacking = unpackSource(never, '1:1', Promise.resolve(tar), new AbortController().signal)
    await expect(unpacking).rejects.toThrow(new SourceFailed('the connection was reset'))
  })

  it('of a build that was ended meanwhile is let go, and the build fails for its own reason', async () => {
    const stop = new AbortController()
    stop.abort(new Error('canceled'))
    const tar = tarOf()
    await expect(unpackSource(container(), '1:1', Promise.resolve(tar), stop.signal)).rejects.toThrow('canceled')
    expect(tar.destroyed).toBe(true)
  })
})
