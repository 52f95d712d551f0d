import { describe, expect, it } from 'vitest'
import { buildahEnv, buildCommand, secretFiles } from './buildah-container.js'

const files = new Map([
  ['npmrc', '/cnb/croft/reach/npmrc'],
  ['ca.crt', '/cnb/croft/reach/ca.crt'],
])

describe('the secrets of a Dockerfile', () => {
  it('are files: variables of the build, and settings of the platform by their names', () => {
    const found = secretFiles(['TOKEN', 'ca.crt', 'npmrc'], { TOKEN: 'value' }, { files })
    expect([...found]).toEqual([
      ['TOKEN', '/platform/env/TOKEN'],
      ['ca.crt', '/cnb/croft/reach/ca.crt'],
      ['npmrc', '/cnb/croft/reach/npmrc'],
    ])
    expect(buildCommand({ secrets: found, hasApt: false }).args.join(' ')).toContain(
      '--secret id=TOKEN,src=/platform/env/TOKEN --secret id=ca.crt,src=/cnb/croft/reach/ca.crt',
    )
  })

  it("are the app's own before the platform's", () => {
    expect(secretFiles(['npmrc'], { npmrc: 'mine' }, { files }).get('npmrc')).toBe('/platform/env/npmrc')
  })

  it.each(['ABSENT', '../env/TOKEN', 'pip.conf', 'toString', ''])('leave out %j, which nobody gives', (id) => {
    expect([...secretFiles([id], { TOKEN: 'value', '../env/TOKEN': 'x' }, { files })]).toEqual([])
  })
})

it('proxies are handed to buildah, which hands them on', () => {
  expect(buildahEnv({ proxy: { https_proxy: 'http://10.0.0.9:3128' } })).toContain('https_proxy=http://10.0.0.9:3128')
})
