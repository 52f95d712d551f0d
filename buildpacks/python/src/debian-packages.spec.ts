import { describe, expect, it } from 'vitest'
import { applying, describeDisagreements, disagreements } from './debian-packages.js'
import { parseRequirement, type Requirement } from './requirements.js'

const environment = { pythonVersion: '3.11.2', machine: 'x86_64', extras: new Set<string>() }
const asked = (...texts: string[]): Requirement[] => texts.flatMap((text) => parseRequirement(text) ?? [])

describe('what an app asks for', () => {
  it('is each package once, with all conditions that hold here', () => {
    const found = applying(
      asked('Flask>=2', 'flask<3', 'flask[async]', 'tomli; python_version < "3.11"', 'jinja2'),
      environment,
    )
    expect(found.map(({ name, specifiers, extras }) => [name, specifiers, extras.join()])).toEqual([
      ['flask', '>=2,<3', 'async'],
      ['jinja2', '', ''],
    ])
  })
})

describe("Debian's packages", () => {
  const present = new Map([
    ['flask', '2.2.2'],
    ['django', '3.2.25'],
  ])

  it('do for what they fulfil', () => {
    expect(disagreements(asked('Flask>=2.0,<3', 'Django~=3.2'), present)).toEqual([])
  })

  it('do not for another version, nor for what is not there', () => {
    const found = disagreements(asked('Flask==3.0.0', 'Django>=4', 'nothere', 'flask'), present)
    expect(describeDisagreements(found)).toBe(
      'flask ==3.0.0 (there is 2.2.2), django >=4 (there is 3.2.25), nothere (there is none)',
    )
  })

  it('that are many are told in a few', () => {
    const many = asked(...Array.from({ length: 6 }, (_, number) => `a${number}`))
    expect(describeDisagreements(disagreements(many, new Map()))).toMatch(/ and 2 more$/)
  })
})
