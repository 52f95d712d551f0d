import { describe, expect, it } from 'vitest'
import type { AppSettings } from '../app/app-settings.js'
import { chooseBuilder, type BuilderRules } from './choose-builder.js'

const RULES: BuilderRules = { builder: null, builderSources: ['*'] }
const choose = (files: Record<string, string>, settings: AppSettings = {}, rules: Partial<BuilderRules> = {}) =>
  chooseBuilder(new Map(Object.entries(files)), { name: 'shop', settings }, { ...RULES, ...rules })
const Dockerfile = 'FROM scratch'
const project = '[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nid = "croft/node"\n'

describe('the builder of an app', () => {
  it.each<[string, Record<string, string>, AppSettings, string]>([
    ['has no Dockerfile', { 'package.json': '{}' }, {}, 'buildpacks'],
    ['has a Dockerfile', { Dockerfile }, {}, 'dockerfile'],
    [
      'has files of a language beside it',
      { Dockerfile, 'project.toml': '[_]\nschema-version = "0.2"\n' },
      {},
      'dockerfile',
    ],
    ['has a Procfile', { Dockerfile, Procfile: 'web: x' }, {}, 'buildpacks'],
    ['names buildpacks in .buildpacks', { Dockerfile, '.buildpacks': 'croft/node\n' }, {}, 'buildpacks'],
    ['names buildpacks in project.toml', { Dockerfile, 'project.toml': project }, {}, 'buildpacks'],
    ['names buildpacks by a setting', { Dockerfile }, { buildpacks: ['croft/node'] }, 'buildpacks'],
    ['has a stack', { Dockerfile }, { stack: 'debian-13' }, 'buildpacks'],
    ['leaves its Dockerfile out', { Dockerfile, '.croftignore': 'Dockerfile\n' }, {}, 'buildpacks'],
    [
      'asks for its Dockerfile all the same',
      { Dockerfile, Procfile: 'web: x' },
      { builder: 'dockerfile' },
      'dockerfile',
    ],
    ['asks for buildpacks all the same', { Dockerfile }, { builder: 'buildpacks' }, 'buildpacks'],
    ['asks for buildpacks and has no Dockerfile', {}, { builder: 'buildpacks' }, 'buildpacks'],
  ])('that %s', (_what, files, settings, builder) => {
    expect(choose(files, settings)).toMatchObject({ kind: 'chosen', builder })
  })

  it('is the Dockerfile of a folder that came to be built by it, whatever else it asks for', () => {
    const files = new Map([
      ['Dockerfile', Dockerfile],
      ['Procfile', 'worker: x'],
    ])
    const app = { name: 'shop', settings: { builder: 'buildpacks', stack: 'debian-13' } as const }
    expect(chooseBuilder(files, app, RULES, 'web')).toEqual({
      kind: 'chosen',
      builder: 'dockerfile',
      text: Dockerfile,
      procfile: new Map([['worker', 'x']]),
      line: 'Building the Dockerfile of the folder web',
    })
    expect(chooseBuilder(new Map(), app, RULES, 'web')).toMatchObject({ kind: 'missing' })
  })

  it('tells which way was taken, why, and how to take the other', () => {
    expect(choose({ Dockerfile })).toMatchObject({
      line: 'Building the Dockerfile (with buildpacks: croft apps:set shop builder=buildpacks)',
      text: Dockerfile,
    })
    expect(choose({ Dockerfile, Procfile: 'web: x' })).toMatchObject({
      line: 'Building with buildpacks, as the Procfile asks for (with the Dockerfile: croft apps:set shop builder=dockerfile)',
    })
    expect(choose({ Procfile: 'web: x' })).toMatchObject({ line: null })
  })

  it('that is its Dockerfile takes the processes of its Procfile along, if that is part of it', () => {
    const asks: AppSettings = { builder: 'dockerfile' }
    const procfile = new Map([['worker', 'x']])
    expect(choose({ Dockerfile, Procfile: 'worker: x' }, asks)).toMatchObject({ procfile })
    const ignoring = { Dockerfile, Procfile: 'worker: x', '.croftignore': 'Procfile\n' }
    expect(choose(ignoring)).toMatchObject({ builder: 'dockerfile', procfile: new Map() })
  })

  it('that asks for a Dockerfile it does not have is told so', () => {
    expect(choose({}, { builder: 'dockerfile' })).toEqual({
      kind: 'missing',
      cause: "the commit has no Dockerfile, which the app's setting builder asks for",
      suggestion: 'commit a Dockerfile, or build with buildpacks: croft apps:set shop builder=',
    })
  })
})

describe('the builder image of an app', () => {
  const own = 'registry.corp/base:1'
  const builder = 'heroku/builder:24'
  it.each<[string, Record<string, string>, AppSettings, Partial<BuilderRules>, string | null]>([
    ['is none by default', {}, {}, {}, null],
    ['is the one it names', {}, { builder }, {}, builder],
    ['is that of the platform', {}, {}, { builder: own }, own],
    ['is the one it names before that of the platform', {}, { builder }, { builder: own }, builder],
    ['is that of the platform where it only asks for buildpacks', {}, { builder: 'buildpacks' }, { builder: own }, own],
    ['builds in place of its Dockerfile', { Dockerfile }, { builder }, {}, builder],
  ])('%s', (_what, files, settings, rules, image) => {
    expect(choose(files, settings, rules)).toMatchObject({ kind: 'chosen', builder: 'buildpacks', image })
  })

  it('does not take the place of a Dockerfile when it is the platform’s', () => {
    expect(choose({ Dockerfile }, {}, { builder: own })).toMatchObject({ builder: 'dockerfile' })
  })

  it('is refused where operators do not allow it, with what they do', () => {
    expect(choose({}, { builder }, { builder: own, builderSources: ['registry.corp/x/'] })).toEqual({
      kind: 'missing',
      cause: 'apps may not be built by heroku/builder:24 on this platform',
      suggestion:
        'allowed are those at or below registry.corp/x/, registry.corp/base:1; croft apps:set shop builder= goes back to the default',
    })
    expect(choose({}, { builder: 'registry.corp/base:2' }, { builder: own, builderSources: [] })).toMatchObject({
      kind: 'chosen',
    })
  })
})
