import { describe, expect, it } from 'vitest'
import { parseRequirement, parseRequirementsFile } from './requirements.js'

describe('a requirement', () => {
  it.each([
    ['Flask', { name: 'flask' }],
    ['Flask>=2.0,<3', { name: 'flask', specifiers: '>=2.0,<3' }],
    ['Django ~= 3.2', { name: 'django', specifiers: '~= 3.2' }],
    [
      'requests [security,socks] >= 2.8.1 ; python_version < "3.8"',
      { name: 'requests', extras: ['security', 'socks'], specifiers: '>= 2.8.1', marker: 'python_version < "3.8"' },
    ],
    ['uvicorn[standard]==0.17.6', { name: 'uvicorn', extras: ['standard'], specifiers: '==0.17.6' }],
    ['zope.interface (>=5)', { name: 'zope-interface', specifiers: '>=5' }],
    [
      'ours @ https://example.org/ours.whl ; os_name == "posix"',
      { name: 'ours', url: 'https://example.org/ours.whl', marker: 'os_name == "posix"' },
    ],
  ])('%j is read', (text, expected) => {
    expect(parseRequirement(text)).toEqual({ extras: [], specifiers: '', marker: null, url: null, ...expected })
  })

  it.each(['', '=2', 'Flask=2', 'Flask 2', '???'])('%j is none', (text) => expect(parseRequirement(text)).toBeNull())
})

describe('a requirements.txt', () => {
  it('has comments, continued lines, hashes, options and includes', () => {
    const found = parseRequirementsFile(
      [
        '\uFEFF# ours',
        '--index-url https://example.org/simple',
        '-r base.txt',
        '--requirement=more/web.txt',
        '-c constraints.txt',
        'Flask==2.2.2 \\',
        '    --hash=sha256:abc \\',
        '    --hash=sha256:def',
        'Jinja2>=3 # why',
        '',
        '-e .',
        'git+https://example.org/x.git#egg=x',
        './wheels/ours-1.0-py3-none-any.whl',
      ].join('\r\n'),
      'requirements.txt',
    )
    expect(found.requirements.map(({ name, specifiers }) => `${name}${specifiers}`)).toEqual([
      'flask==2.2.2',
      'jinja2>=3',
    ])
    expect(found.includes).toEqual(['base.txt', 'more/web.txt'])
    expect(found.foreign).toEqual(['.', 'git+https://example.org/x.git#egg=x', './wheels/ours-1.0-py3-none-any.whl'])
  })

  it('with a line that is none is refused with its number', () => {
    expect(() => parseRequirementsFile('Flask\n\nDjango = 3\n', 'requirements.txt')).toThrow(
      'requirements.txt, line 3: "Django = 3" is no requirement',
    )
  })
})
