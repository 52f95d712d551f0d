import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildNeeds } from './support/build-needs.js'
import type { Pushed } from './support/build-results.js'
import { buildRig, type BuildRig } from './support/build-rig.js'

/** Debian packages in a layer of an app: fetched by an unprivileged apt from the archives this host is configured with. */
const needs = buildNeeds()
let rig: BuildRig
beforeAll(async () => {
  if (needs === null) rig = await buildRig('10.222.236.0/22')
})
afterAll(async () => await rig?.close())

type Succeeded = Extract<Pushed['result'], { outcome: 'succeeded' }>

function succeeded({ result, log }: Pushed): Succeeded {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}

const app = (aptfile: string, files: Record<string, string> = {}): Record<string, string> => ({
  Aptfile: aptfile,
  Procfile: 'web: hello && ack --version\n',
  ...files,
})

describe.skipIf(needs !== null)('an app with an Aptfile', () => {
  let first: Pushed

  beforeAll(async () => {
    // a program in C, one in Perl with modules of its own, a library with its headers, and one the stack has already
    first = await rig.build(app('# what the app calls\nack hello libyaml-dev\ntzdata\n'))
  })

  it('gets the packages and what they depend on, and none the stack has', async () => {
    const { image } = succeeded(first)
    expect(first.log).toMatch(/^-----> Installing the packages of the Aptfile: ack, hello, libyaml-dev, tzdata$/m)
    expect(first.log).toMatch(/^ {7}\d+ Debian packages, \d+\.\d MB +\d+\.\d s$/m)
    const { packages } = await layerOf(image)
    expect(packages).toMatchObject({ hello: expect.stringMatching(/^2\./), 'libyaml-dev': expect.any(String) })
    expect(packages).not.toHaveProperty('tzdata')
    expect(packages).not.toHaveProperty('libyaml-0-2')
  })

  it('runs their programs, and links against their libraries', async () => {
    const { image } = succeeded(first)
    const said = await rig.runIn(image, ['/cnb/process/web'])
    expect(said).toMatchObject({ exitCode: 0, output: expect.stringMatching(/^Hello, world!\nack v?3/) })
    const layer = '/layers/croft_apt/apt'
    const pc = await rig.runIn(image, ['/bin/cat', `${layer}/usr/lib/x86_64-linux-gnu/pkgconfig/yaml-0.1.pc`])
    expect(pc.output).toContain('prefix=${pcfiledir}/../../..')
    const link = await rig.runIn(image, ['/bin/ls', '-L', `${layer}/usr/lib/x86_64-linux-gnu/libyaml.a`])
    expect(link.exitCode).toBe(0)
    const outside = await rig.runIn(image, ['/usr/bin/find', layer, '-lname', '/usr/lib/*', '-xtype', 'l'])
    expect(outside.output).toBe('') // no absolute link that leads nowhere
  })

  it('built again takes the layer it had, and is the same image', async () => {
    const { image } = succeeded(first)
    const again = await rig.build(app('hello ack\nlibyaml-dev tzdata\n'), { previousImage: image })
    expect(again.log).toMatch(/^ {7}Debian packages unchanged +0\.\d s$/m)
    expect(succeeded(again).newLayers).toBe(1) // the Aptfile itself
    const clean = await rig.build(app('# what the app calls\nack hello libyaml-dev\ntzdata\n'), {
      appId: '01890000-0000-7000-8000-000000000002',
    })
    expect(succeeded(clean).image).toBe(image)
  })

  it('with a package that is not there is told which', async () => {
    const { result } = await rig.build(app('no-such-package-here\n'))
    expect(result).toMatchObject({
      outcome: 'failed',
      reason: 'buildpack',
      message: 'Debian 12 has no package no-such-package-here',
    })
  })
})

/** What the layer's metadata says of its packages. */
async function layerOf(image: string): Promise<{ packages: Record<string, string> }> {
  const manifest = JSON.parse(rig.registry.manifests.get(image)?.toString() ?? '') as { config: { digest: string } }
  const config = JSON.parse(rig.registry.blobs.get(manifest.config.digest)?.toString() ?? '') as {
    config: { Labels: Record<string, string> }
  }
  const label = JSON.parse(config.config.Labels['io.buildpacks.lifecycle.metadata'] ?? '') as {
    buildpacks: { key: string; layers: Record<string, { data: { packages: Record<string, string> } }> }[]
  }
  const found = label.buildpacks.find(({ key }) => key === 'croft/apt')?.layers['apt']
  return { packages: found?.data.packages ?? {} }
}
