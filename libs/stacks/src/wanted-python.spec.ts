import fc from 'fast-check'
import satisfies from 'semver/functions/satisfies.js'
import validRange from 'semver/ranges/valid.js'
import { describe, expect, it } from 'vitest'
import { askedPython, pythonRange, wantedPython } from './wanted-python.js'

describe('the Python an app asks for', () => {
  const project = (requires: string): [string, string] => [
    'pyproject.toml',
    `[project]\nname = "a"\nrequires-python = "${requires}"\n`,
  ]
  const poetry = (python: string): [string, string] => [
    'pyproject.toml',
    `[tool.poetry.dependencies]\npython = "${python}"\n`,
  ]

  it.each<[files: [string, string][], range: string | null, source: string | null]>([
    [[], null, null],
    [[['.python-version', '3.11\n']], '3.11.x', '.python-version'],
    [[['.python-version', '# pyenv\n3.11.2\n3.9.1\n']], '3.11.2', '.python-version'],
    [[['.python-version', 'cpython-3.13']], '3.13.x', '.python-version'],
    [[['.python-version', 'pypy3.10-7.3']], null, null],
    [[['.python-version', '']], null, null],
    [[['runtime.txt', 'python-3.9.2']], '3.9.2', 'runtime.txt'],
    [[['.tool-versions', 'ruby 3.1\npython 3.13.5']], '3.13.5', '.tool-versions'],
    [[['Pipfile', '[requires]\npython_version = "3.9"\n']], '3.9.x', 'Pipfile'],
    [[['Pipfile', '[requires]\npython_version = "3.9"\npython_full_version = "3.9.2"\n']], '3.9.2', 'Pipfile'],
    [[['Pipfile', '[requires]\npython_version = "*"\n']], null, null],
    [[['Pipfile.lock', '{"_meta": {"requires": {"python_version": "3.11"}}}']], '3.11.x', 'Pipfile.lock'],
    [[project('>=3.9')], '>=3.9.0', 'pyproject.toml'],
    [[project('>=3.9, <3.12')], '>=3.9.0 <3.12.0', 'pyproject.toml'],
    [[project('==3.11.*')], '3.11.x', 'pyproject.toml'],
    [[project('~=3.11')], '>=3.11.0 <4.0.0', 'pyproject.toml'],
    [[project('~=3.11.0')], '>=3.11.0 <3.12.0', 'pyproject.toml'],
    [[project('>=3.9,!=3.10.*')], '>=3.9.0 <3.10.0 || >=3.9.0 >=3.11.0', 'pyproject.toml'],
    [[project('<=3.11')], '<3.12.0', 'pyproject.toml'],
    [[project('three')], null, null],
    [[poetry('^3.9')], '>=3.9.0 <4.0.0', 'pyproject.toml (tool.poetry)'],
    [[poetry('~3.11')], '3.11.x', 'pyproject.toml (tool.poetry)'],
    [[poetry('3.9.* || ^3.11')], '3.9.x || >=3.11.0 <4.0.0', 'pyproject.toml (tool.poetry)'],
    [[['uv.lock', 'version = 1\nrequires-python = ">=3.13"\n']], '>=3.13.0', 'uv.lock'],
    [[['.python-version', '3.9'], project('>=3.11')], '3.9.x', '.python-version'],
    [[['pyproject.toml', 'not [ toml']], null, null],
    [[['Pipfile.lock', 'not json']], null, null],
  ])('of %j is %j, which %j says', (files, range, source) => {
    const wanted = wantedPython(new Map(files))
    expect(wanted).toEqual(range === null ? null : { range, source })
    if (wanted !== null) expect(validRange(wanted.range)).not.toBeNull()
  })

  it('is told apart from nothing when it is no CPython', () => {
    expect(askedPython(new Map([['runtime.txt', 'pypy-3.9']]))).toMatchObject({ text: 'pypy-3.9', range: null })
  })

  it('lets in a release exactly when every condition does', () => {
    const minor = fc.integer({ min: 6, max: 14 })
    fc.assert(
      fc.property(minor, minor, minor, fc.integer({ min: 0, max: 20 }), (low, high, not, patch) => {
        for (let have = 6; have <= 14; have++) {
          const range = pythonRange(`>=3.${low},<3.${high},!=3.${not}.*`) ?? ''
          expect(satisfies(`3.${have}.${patch}`, range)).toBe(have >= low && have < high && have !== not)
        }
      }),
    )
  })
})
