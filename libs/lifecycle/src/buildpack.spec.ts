import { describe, expect, it } from 'vitest'
import { fitsTarget, runsIn } from './buildpack.js'
import { parseBuildpackToml } from './formats/buildpack-toml.js'

const target = { os: 'linux', arch: 'amd64', archVariant: 'v2', distroName: 'debian', distroVersion: '12' }
const toml = (rest: string, api = '0.12') =>
  parseBuildpackToml(`api = "${api}"\n[buildpack]\nid = "a"\nversion = "1"\n${rest}`, 'buildpack.toml')
const DEBIAN = '[[targets.distros]]\nname="debian"\nversion="12"\n'

describe('what a buildpack is made for', () => {
  it.each<[string, string, boolean]>([
    ['one that says nothing is made for any linux', '', true],
    ['the same system', '[[targets]]\nos="linux"\narch="amd64"\n', true],
    ['empty members mean any', '[[targets]]\nos=""\narch=""\n', true],
    ['another architecture', '[[targets]]\nos="linux"\narch="arm64"\n', false],
    ['another system', '[[targets]]\nos="windows"\n', false],
    ['one of several targets', '[[targets]]\narch="arm64"\n[[targets]]\narch="amd64"\n', true],
    ['the same variant', '[[targets]]\nvariant="v2"\n', true],
    ['another variant', '[[targets]]\narch-variant="v3"\n', false],
    ['the distribution it names', `[[targets]]\nos="linux"\n${DEBIAN}`, true],
    ['one of the distributions', `[[targets]]\n[[targets.distros]]\nname="ubuntu"\nversion="24.04"\n${DEBIAN}`, true],
    ['another version of it', '[[targets]]\n[[targets.distros]]\nname="debian"\nversion="13"\n', false],
    ['any version of it', '[[targets]]\n[[targets.distros]]\nname="debian"\n', true],
    ['any stack', '[[stacks]]\nid="*"\n', true],
    ['the stack that stands for ubuntu 18.04', '[[stacks]]\nid="io.buildpacks.stacks.bionic"\n', false],
    ['a stack nobody knows', '[[stacks]]\nid="heroku-22"\n', true],
    ['that stack or any', '[[stacks]]\nid="io.buildpacks.stacks.bionic"\n[[stacks]]\nid="*"\n', true],
    ['targets count before stacks', '[[targets]]\nos="windows"\n[[stacks]]\nid="*"\n', false],
  ])('%s: fits %s', (_what, rest, fits) => {
    expect(fitsTarget(toml(rest), target)).toBe(fits)
  })

  it('that names a distribution does not fit a system of no known one', () => {
    const unknown = { ...target, distroName: '', distroVersion: '' }
    expect(fitsTarget(toml(`[[targets]]\n${DEBIAN}`), unknown)).toBe(false)
    expect(fitsTarget(toml('[[targets]]\nos="linux"\n'), unknown)).toBe(true)
  })

  it('means by that stack ubuntu 18.04, before API 0.10 only when it is alone', () => {
    const bionic = { ...target, archVariant: '', distroName: 'ubuntu', distroVersion: '18.04' }
    const stacks = '[[stacks]]\nid="io.buildpacks.stacks.bionic"\n'
    expect(fitsTarget(toml(stacks), bionic)).toBe(true)
    expect(fitsTarget(toml(stacks, '0.9'), bionic)).toBe(true)
    expect(fitsTarget(toml(`${stacks}[[stacks]]\nid="other"\n`, '0.9'), target)).toBe(true)
    expect(fitsTarget(toml(`${stacks}[[stacks]]\nid="other"\n`, '0.10'), target)).toBe(false)
  })
})

describe('the execution environment', () => {
  const listed = (list: string, api = '0.12'): boolean =>
    runsIn(parseBuildpackToml(`api = "${api}"\n[buildpack]\nid="a"\nversion="1"\n${list}`, 'x'), 'test')
  it.each<[string, string, string, boolean]>([
    ['a buildpack that lists none takes part', '', '0.12', true],
    ['a star means all', 'exec-env = ["*"]', '0.12', true],
    ['one of the list', 'exec-env = ["production", "test"]', '0.12', true],
    ['one that is not in the list', 'exec-env = ["production"]', '0.12', false],
    ['a list of tables is read too', '[[buildpack.exec-env]]\nname = "production"', '0.12', false],
    ['before API 0.12 the list says nothing', 'exec-env = ["production"]', '0.11', true],
  ])('%s', (_what, list, api, takesPart) => {
    expect(listed(list, api)).toBe(takesPart)
  })

  it('leaves nobody out when none is named', () => {
    expect(
      runsIn(toml('') && parseBuildpackToml('api="0.12"\n[buildpack]\nid="a"\nversion="1"\nexec-env=["x"]\n', 'x'), ''),
    ).toBe(true)
  })
})

describe('the id of a buildpack', () => {
  it.each(['..', '.', 'a/..', '../a', '/a', 'a/', 'a//b', 'a b', 'sbom', 'config', 'app', ''])('is never %s', (id) => {
    expect(() => parseBuildpackToml(`api = "0.12"\n[buildpack]\nid = "${id}"\nversion = "1"\n`, 'x')).toThrow(
      /^x, line 3: /,
    )
  })
  it.each(['a', 'a/b', 'heroku/nodejs-engine', 'io.buildpacks.samples.x', '0.7/b'])('may be %s', (id) => {
    const text = `api = "0.12"\n[buildpack]\nid = "${id}"\nversion = "1"\n`
    expect(parseBuildpackToml(text, 'x').buildpack.id).toBe(id)
  })
})
