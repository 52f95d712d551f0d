import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HOST_REACH } from '@croft/protocol'
import { provideReach, reachIn, writeReach } from './provide-reach.js'

describe('what a build container gets so that its programs reach package registries', () => {
  let folder = ''
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'reach-spec-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is the configuration of the host, in files of its own', async () => {
    writeFileSync(join(folder, 'npmrc'), 'registry=https://npm.host/\n')
    writeFileSync(join(folder, 'ca'), '-----HOST-----\n')
    const paths = { npmrc: join(folder, 'npmrc'), ca: join(folder, 'ca'), proxyEnvironment: {} }
    const { mounts, netOut, env, git } = await provideReach(join(folder, 'reach'), paths, undefined)
    expect(netOut).toEqual([])
    expect(git).toEqual({})
    expect(mounts).toEqual([
      { srcPath: join(folder, 'reach'), dstPath: '/cnb/croft/reach', mode: 'ro' },
      { srcPath: join(folder, 'reach/ca.crt'), dstPath: '/etc/ssl/certs/ca-certificates.crt', mode: 'ro' },
    ])
    expect(readdirSync(join(folder, 'reach')).toSorted()).toEqual(['ca.crt', 'npmrc'])
    expect(readFileSync(join(folder, 'reach/npmrc'), 'utf8')).toMatch(/\nregistry=https:\/\/npm\.host\/\n$/)
    expect(env['npm_config_globalconfig']).toBe('/cnb/croft/reach/npmrc')
  })

  it('lets it through to mirrors and proxies in private ranges, at their own ports, and to nothing it reaches anyway', async () => {
    const paths = { npmrc: null, ca: null, proxyEnvironment: {} }
    const { netOut, git } = await provideReach(join(folder, 'reach'), paths, {
      ...HOST_REACH,
      npmRegistry: 'https://10.1.2.3:8443/npm/',
      pypiIndex: 'https://151.101.0.162/simple/',
      rubygemsMirror: 'https://mirror.invalid/',
      proxy: 'http://192.168.7.7:3128',
    })
    expect(netOut).toEqual([
      { protocol: 'tcp', networks: [{ start: '10.1.2.3' }], ports: [{ start: 8443 }] },
      { protocol: 'tcp', networks: [{ start: '192.168.7.7' }], ports: [{ start: 3128 }] },
    ])
    expect(git).not.toHaveProperty('letThrough')
    expect(git).toMatchObject({ proxyEnvironment: { https_proxy: 'http://192.168.7.7:3128' } })
  })

  it('can be had in another folder: the same but for where its files lie, and only those that are asked for', async () => {
    writeFileSync(join(folder, 'ca'), '-----HOST-----\n')
    const paths = { npmrc: null, ca: join(folder, 'ca'), proxyEnvironment: {} }
    const [here, there] = [join(folder, 'reach'), join(folder, 'spare/reach')]
    const reach = await provideReach(here, paths, { ...HOST_REACH, ca: '-----OWN-----', proxy: 'http://10.1.2.3:3128' })
    const moved = reachIn(there, reach)
    expect(moved.mounts.map(({ srcPath }) => srcPath)).toEqual([there, join(there, 'ca.crt')])
    expect(moved.git.ca).toBe(join(there, 'ca.crt'))
    const { env, netOut } = reach
    expect(moved).toMatchObject({ env, netOut })
    expect(reachIn(here, moved)).toEqual(reach)
    await writeReach(moved, (name) => name === 'ca.crt')
    expect(readdirSync(there)).toEqual(['ca.crt'])
    await writeReach(moved)
    for (const name of ['ca.crt', 'npmrc']) {
      expect(readFileSync(join(there, name), 'utf8')).toBe(readFileSync(join(here, name), 'utf8'))
    }
  })

  it("lets it through to the targets of the platform's egress list, and the host that fetches buildpacks for it", async () => {
    const paths = { npmrc: null, ca: null, proxyEnvironment: {} }
    const egress = ['10.1.2.3:443', '10.4.0.0/16:5432', '151.101.0.162:443', 'git.invalid:443']
    const { netOut, git } = await provideReach(join(folder, 'reach'), paths, { ...HOST_REACH, egress })
    expect(netOut).toEqual([
      { protocol: 'tcp', networks: [{ start: '10.1.2.3' }], ports: [{ start: 443 }] },
      { protocol: 'tcp', networks: [{ start: '10.4.0.0', end: '10.4.255.255' }], ports: [{ start: 5432 }] },
    ])
    expect(git.letThrough?.map(({ host }) => host)).toEqual(['10.1.2.3', '10.4.0.0/16', '151.101.0.162', 'git.invalid'])
  })
})
