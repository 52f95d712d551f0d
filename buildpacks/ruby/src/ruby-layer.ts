import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import satisfies from 'semver/functions/satisfies.js'
import { BuildFailure, installDebs, Layer, prepended, say } from '@croft/buildpack-kit'
import { askedRuby, chooseStack, type AskedRuby } from '@croft/stacks'
import { newestOf, presentGems } from './debian-gems.js'
import { gemFolders, releaseOfLibrary, rubyPaths, type RubyPlaces } from './ruby-env.js'

/** Raised when the layer's own files change although the packages do not. */
const LAYOUT = 'ruby 1'
const RUBY = ['ruby', 'ruby-bundler', 'rake']
/** Where it is there, gems can be compiled, and find the headers of Ruby beside it. */
const COMPILER = '/usr/bin/cc'
/** What processes of an image get unless config vars say otherwise. */
const DEFAULTS = { 'LANG.default': 'C.UTF-8', 'MALLOC_ARENA_MAX.default': '2' }

export interface RubyLayer {
  places: RubyPlaces
  /** `3.1.2` */
  version: string
  bundlerVersion: string
  /** The packages of the layer with their versions, as one word. */
  debs: string
  /** The environment with this Ruby first. */
  env: Record<string, string>
}

/** What the app asks for, checked against the stack's release line before anything is fetched. @throws BuildFailure */
export function checkedRuby(files: ReadonlyMap<string, string>, stackId: string): AskedRuby | null {
  const asked = askedRuby(files)
  if (asked === null) return null
  if (asked.range === null) {
    throw new BuildFailure(
      `${asked.source} asks for Ruby ${JSON.stringify(asked.text)}, which is no release of Ruby`,
      'write a version there, e.g.  3.1',
    )
  }
  const choice = chooseStack(stackId, [{ runtime: 'ruby', range: asked.range, source: asked.source }])
  if (choice.kind !== 'chosen') throw new BuildFailure(choice.message, choice.remedy)
  return asked
}

/** Provides Ruby, Bundler and, where they come from Debian, gems. @throws BuildFailure when it is not the version asked for */
export async function provideRuby(
  layer: Layer,
  asked: AskedRuby | null,
  gemPackages: readonly string[],
  env: Record<string, string>,
): Promise<RubyLayer> {
  say.step(asked === null ? "Installing Ruby (the stack's own)" : `Installing Ruby (${asked.text} in ${asked.source})`)
  const versions = await installDebs(layer, [...RUBY, ...(existsSync(COMPILER) ? ['ruby-dev'] : []), ...gemPackages], {
    env,
    layout: LAYOUT,
    finish: () => {
      const paths = rubyPaths(placesOf(layer.path))
      layer.env(prepended(Object.fromEntries(Object.entries(paths).map(([name, folders]) => [name, present(folders)]))))
      layer.launchEnv(DEFAULTS)
    },
  })
  const places = placesOf(layer.path)
  const version = releaseOfLibrary(readdirSync(join(layer.path, 'usr/lib', places.triplet))) ?? ''
  if (asked !== null && asked.range !== null && !satisfies(version, asked.range)) {
    const [line = ''] = /^\d+\.\d+/.exec(version) ?? []
    throw new BuildFailure(
      `the stack has Ruby ${version}, not Ruby ${asked.text}, which ${asked.source} asks for`,
      asked.source.startsWith('Gemfile') || asked.source.startsWith('gems')
        ? `write  ruby "~> ${line}.0"  there, which takes every fix of ${line}`
        : `write ${line} there, which takes every fix of that line`,
    )
  }
  const paths = rubyPaths(places)
  const withRuby = Object.entries(paths).map(([name, folders]) => [
    name,
    [present(folders), env[name] ?? ''].filter((part) => part !== '').join(':'),
  ])
  return {
    places,
    version,
    debs: [...versions].map(([name, one]) => `${name}=${one}`).join(','),
    bundlerVersion: newestOf(presentGems(gemSpecifications(places)).get('bundler') ?? []) ?? '',
    env: { ...env, LANG: 'C.UTF-8', ...(Object.fromEntries(withRuby) as Record<string, string>) },
  }
}

function present(folders: readonly string[]): string {
  return folders.filter((folder) => existsSync(folder)).join(':')
}

function placesOf(root: string): RubyPlaces {
  const triplet = readdirSync(join(root, 'usr/lib')).find((name) => name.endsWith('-linux-gnu'))
  const abi = readdirSync(join(root, 'usr/lib/ruby')).find((name) => /^\d+\.\d+\.0$/.test(name))
  if (triplet === undefined || abi === undefined) throw new Error(`no Ruby below ${root}`)
  return { root, triplet, abi }
}

/** The names of the specification files of all gems in the layer, those that belong to Ruby included. */
export function gemSpecifications(places: RubyPlaces): string[] {
  return gemFolders(places)
    .flatMap((folder) => [join(folder, 'specifications'), join(folder, 'specifications/default')])
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
    .filter((name) => name.endsWith('.gemspec'))
}
