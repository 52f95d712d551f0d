import { describe, expect, it } from 'vitest'
import { placeSboms } from './sbom.js'
import { parseBuildpackToml } from './formats/buildpack-toml.js'

const ALL = '["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json; charset=utf-8"]'
const place = (
  file: string,
  types: Partial<Record<'build' | 'cache' | 'launch', boolean>> | null,
  formats = ALL,
): string[] =>
  placeSboms(
    {
      id: 'a/b',
      toml: parseBuildpackToml(`api="0.12"\n[buildpack]\nid="a/b"\nversion="1"\nsbom-formats=${formats}`, 'x'),
    },
    [{ file, text: '{}' }],
    new Map(types === null ? [] : [['x', { build: false, cache: false, launch: false, ...types }]]),
  ).map(({ kind, path }) => `${kind}: ${path}`)

describe('bills of materials that buildpacks leave', () => {
  it.each<[string, Parameters<typeof place>, string[]]>([
    ['of the app go into the image', ['launch.sbom.cdx.json', null], ['launch: a_b/sbom.cdx.json']],
    ['of the build stay there', ['build.sbom.spdx.json', null], ['build: a_b/sbom.spdx.json']],
    ['of a launch layer go into the image', ['x.sbom.syft.json', { launch: true }], ['launch: a_b/x/sbom.syft.json']],
    ['of a build layer stay', ['x.sbom.cdx.json', { build: true }], ['build: a_b/x/sbom.cdx.json']],
    [
      'of a cached layer are kept for the next build',
      ['x.sbom.cdx.json', { launch: true, cache: true }],
      ['launch: a_b/x/sbom.cdx.json', 'cache: a_b/x/sbom.cdx.json'],
    ],
    ['of a layer of no type are left out', ['x.sbom.cdx.json', {}], []],
    ['of a layer nobody described are left out', ['y.sbom.cdx.json', { launch: true }], []],
  ])('%s', (_rule, [file, types], expected) => {
    expect(place(file, types)).toEqual(expected)
  })

  it.each<[string, Parameters<typeof place>, RegExp]>([
    ['a format nobody knows', ['launch.sbom.other.json', null], /launch.sbom.other.json of a\/b is of no known format/],
    [
      'one that is not declared',
      ['launch.sbom.cdx.json', null, '["application/spdx+json"]'],
      /sbom-formats .* does not name/,
    ],
  ])('are refused in %s', (_what, call, why) => {
    expect(() => place(...call)).toThrow(why)
  })
})
