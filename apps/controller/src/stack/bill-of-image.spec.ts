import { describe, expect, it } from 'vitest'
import { languagePackage, layerBill } from '@croft/stacks'
import { billOfImage, isBill } from './bill-of-image.js'

const digest = `sha256:${'a'.repeat(64)}`
const layer = (data: object, launch = true): object => ({ sha: digest, launch, data })
const config = {
  architecture: 'amd64',
  config: {
    Labels: {
      'io.buildpacks.base.distro.name': 'debian',
      'io.buildpacks.base.distro.version': '12',
      'io.croft.base.packages': 'apt=2.6.1 libc6=2.36-9',
      'io.buildpacks.lifecycle.metadata': JSON.stringify({
        buildpacks: [
          { key: 'croft/apt', version: '0.1.0', layers: { apt: layer({ packages: { hello: '2.10-3' } }) } },
          {
            key: 'croft/node',
            version: '0.1.0',
            layers: { node: layer({ version: '24.21.0', npm: '11.19.1' }), modules: layer({ key: 'x' }) },
          },
          { key: 'x/y', version: '1', layers: { tools: layer({ packages: { gcc: '1' } }, false) } },
        ],
      }),
    },
  },
}
const image = { name: 'shop', digest }
const names = (isBaseOnly: boolean, written?: ReadonlyMap<string, string>): string[] =>
  billOfImage(image, config, { isBaseOnly, ...(written !== undefined && { written }) }).components.map(
    ({ name, version }) => `${name} ${version}`,
  )

describe('the bill of materials of an image', () => {
  it('has the packages of languages that buildpacks wrote down, with where they are from', () => {
    const gems = layerBill([languagePackage('gem', 'rack', '2.2.6'), languagePackage('gem', 'puma', '5.6.5')])
    const written = new Map([
      ['layers/sbom/launch/croft_ruby/gems/sbom.cdx.json', gems],
      ['layers/sbom/launch/x_y/sbom.cdx.json', '{"components":[{"type":"framework","name":"z","version":"1"}]}'],
      ['layers/sbom/launch/x_broken/sbom.cdx.json', '{"components":7}'],
      ['layers/sbom/launch/x_torn/sbom.cdx.json', '{"compo'],
    ])
    expect([...written.keys()].every(isBill)).toBe(true)
    expect(names(false, written)).toEqual(expect.arrayContaining(['rack 2.2.6', 'puma 5.6.5', 'z 1']))
    const { components } = billOfImage(image, config, { written })
    expect(components.find(({ name }) => name === 'rack')).toEqual({
      type: 'library',
      name: 'rack',
      version: '2.2.6',
      purl: 'pkg:gem/rack@2.2.6',
      properties: [{ name: 'croft:from', value: 'layer croft/ruby/gems' }],
    })
    expect(isBill('layers/sbom/launch/x_y/sbom.spdx.json')).toBe(false)
  })
  it('has the run image, the buildpacks and what they put into the image', () => {
    expect(names(false)).toEqual([
      'apt 2.6.1',
      'croft/apt 0.1.0',
      'croft/node 0.1.0',
      'debian 12',
      'hello 2.10-3',
      'libc6 2.36-9',
      'node 24.21.0',
      'npm 11.19.1',
      'x/y 1',
    ])
  })
  it('of a stack has the run image alone', () => {
    expect(names(true)).toEqual(['apt 2.6.1', 'debian 12', 'libc6 2.36-9'])
  })
  it('says where each package is from', () => {
    const found = billOfImage(image, config).components.find(({ name }) => name === 'hello')
    expect(found?.properties).toEqual([{ name: 'croft:from', value: 'layer croft/apt/apt' }])
  })
  it('of an image without labels is short', () => {
    expect(billOfImage(image, { architecture: 'amd64', config: {} }).components).toHaveLength(1)
  })
})
