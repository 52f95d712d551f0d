import { silentLogger } from '@croft/kit'
import type { Backend, Container } from '@croft/garden-api'
import { describe, expect, it } from 'vitest'
import { destroyContainer, makeContainer } from './make-container.js'

const RULES = [{ protocol: 'tcp' as const, networks: [{ start: '10.1.2.3' }] }]
const spec = { handle: 'build-1', image: { uri: 'stack:debian-12' } }

/** A backend that keeps handles; `netOut` is what its containers do with rules. */
function backendOf(netOut: Container['netOut']): Pick<Backend, 'create' | 'destroy'> & { handles: Set<string> } {
  const handles = new Set<string>()
  return {
    handles,
    create: ({ handle = '' }) => {
      handles.add(handle)
      return Promise.resolve({ handle, netOut } as Container)
    },
    destroy: (handle) => {
      handles.delete(handle)
      return Promise.resolve()
    },
  }
}

describe('the container of a build', () => {
  const { signal } = new AbortController()

  it('is let through to the mirrors of the platform once it stands, and told nothing where there are none', async () => {
    const told: unknown[] = []
    const backend = backendOf((rules) => Promise.resolve(void told.push(rules)))
    for (const netOut of [[], RULES]) await makeContainer(spec, { netOut }, { backend, logger: silentLogger }, signal)
    expect(told).toEqual([RULES])
  })

  it('is not left behind when it cannot be let through', async () => {
    const backend = backendOf(() => Promise.reject(new Error('no such table')))
    const making = makeContainer(spec, { netOut: RULES }, { backend, logger: silentLogger }, signal)
    await expect(making).rejects.toThrow('no such table')
    expect([...backend.handles]).toEqual([])
  })

  it('that cannot be destroyed fails nobody', async () => {
    const backend = { ...backendOf(() => Promise.resolve()), destroy: () => Promise.reject(new Error('busy')) }
    await expect(destroyContainer('build-1', { backend, logger: silentLogger })).resolves.toBeUndefined()
  })
})
