import { describe, expect, it } from 'vitest'
import { ANY_BUILDER, builderProblem, builderSourceProblem, isAllowedBuilder } from './builder-reference.js'

describe('a builder image', () => {
  it.each([
    'heroku/builder:24',
    'registry.corp/builders/base',
    'localhost:8080/builders:v1',
    `acme/b@sha256:${'a'.repeat(64)}`,
  ])('may be %s', (text) => expect(builderProblem(text)).toBeNull())
  it.each(['dockerfle', 'buildpack', '', 'Acme/Builder:1', 'acme/builder@sha256:12', 'a b/c'])('is not %j', (text) =>
    expect(builderProblem(text)).not.toBeNull(),
  )
})

describe('the builder images that apps may name', () => {
  it.each<[string, string[], string | null, boolean]>([
    ['anything/at:all', [ANY_BUILDER], null, true],
    ['heroku/builder:24', [], null, false],
    ['heroku/builder:24', ['heroku/'], null, true],
    ['heroku/builder:24', ['heroku'], null, true],
    ['docker.io/heroku/builder:24', ['heroku/builder'], null, true],
    ['heroku/builder-classic:22', ['heroku/builder'], null, false],
    ['registry.corp/builders/base:1', ['registry.corp'], null, true],
    ['registry.corp/builders/base:1', ['registry.corp/builders/'], null, true],
    ['registry.corp/other/base:1', ['registry.corp/builders/'], null, false],
    ['registry.corp:5000/builders/base:1', ['registry.corp'], null, false],
    ['localhost:8080/builders:v2', ['localhost:8080/builders'], null, true],
    ['registry.corp/base:2', [], 'registry.corp/base:1', true],
    ['registry.corp/base-2', [], 'registry.corp/base:1', false],
  ])('%s of %j, the platform’s own being %s: %s', (reference, sources, ofPlatform, isAllowed) => {
    expect(isAllowedBuilder(reference, sources, ofPlatform)).toBe(isAllowed)
  })

  it.each([
    ['*', true],
    ['heroku/', true],
    ['registry.corp:5000', true],
    ['registry.corp/builders/', true],
    ['https://registry.corp/', false],
    ['Heroku/', false],
    ['a@b', false],
    ['', false],
  ])('are listed by %j: %s', (text, isAddress) => expect(builderSourceProblem(text) === null).toBe(isAddress))
})
