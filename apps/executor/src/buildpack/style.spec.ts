import { describe, expect, it } from 'vitest'
import { styleOf } from './style.js'

const API = 'api = "0.10"\n[buildpack]\nid = "a"\n'

describe('the kind of a buildpack', () => {
  it.each<[string, string[], string | null, string | RegExp]>([
    ['a Cloud Native Buildpack has bin/build and an API', ['bin/detect', 'bin/build'], API, 'cnb'],
    ['a composite one has an order instead', [], `${API}[[order]]\n`, 'cnb'],
    ['a classic one has bin/detect and bin/compile', ['bin/detect', 'bin/compile'], null, 'classic'],
    ['and may have a buildpack.toml of its own', ['bin/detect', 'bin/compile'], '[buildpack]\nname = "x"\n', 'classic'],
    ['one for both is a Cloud Native Buildpack', ['bin/detect', 'bin/compile', 'bin/build'], API, 'cnb'],
    ['source that is not compiled is none', ['bin/detect'], API, /compiled first/],
    ['one of Cloud Foundry is none', ['bin/detect', 'bin/supply', 'bin/finalize'], null, /Cloud Foundry/],
    ['an image extension is none', ['extension.toml'], null, /image extension/],
    ['half a classic one is none', ['bin/compile'], null, /no bin\/detect/],
    ['a folder of something else is none', ['README.md'], null, /holds no buildpack/],
  ])('%s', (_rule, names, toml, expected) => {
    const style = styleOf(new Set(names), toml)
    if (typeof expected === 'string') expect(style.kind).toBe(expected)
    else expect(style).toMatchObject({ kind: 'none', why: expect.stringMatching(expected) })
  })
})
