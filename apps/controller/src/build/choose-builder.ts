import type { AppSettings } from '../app/app-settings.js'
import { parseProcfile } from '../push/procfile.js'
import { isAllowedBuilder } from './builder-reference.js'
import { ignoredOf, wishesOf, type WishFiles } from './build-wishes.js'

/** What turns a source into an image. */
export const BUILDERS = ['dockerfile', 'buildpacks'] as const
export type Builder = (typeof BUILDERS)[number]

/** The file that is built when the Dockerfile builds. */
export const DOCKERFILE = 'Dockerfile'
const PROCFILE = 'Procfile'

export type BuilderChoice =
  /**
   * `image`: the reference of the builder image whose buildpacks build; null: Croft's own do. `line` tells whoever pushes which way
   * was taken and how to take the other; null when there is only one.
   */
  | { kind: 'chosen'; builder: 'buildpacks'; image: string | null; line: string | null }
  /** `procfile`: process types beside those of the image, and their commands. */
  | { kind: 'chosen'; builder: 'dockerfile'; line: string; text: string; procfile: ReadonlyMap<string, string> }
  | { kind: 'missing'; cause: string; suggestion: string }

/** What operators say of builder images. */
export interface BuilderRules {
  /** The one that builds apps that name none; null: Croft's own buildpacks do. */
  builder: string | null
  /** Addresses at or below which apps may name one. */
  builderSources: readonly string[]
}

/**
 * The builder of a source: the app's setting, else buildpacks where somebody asks for them (a setting of the app, `.buildpacks`,
 * `project.toml`, a Procfile, a stack), else its Dockerfile, else buildpacks. Buildpacks are those of the builder image that the app or
 * the platform names, else Croft's. A `folder` that was not pushed came to have its Dockerfile built, whatever else is asked for. A file
 * that is no part of the app is none here. Pure.
 * @throws ProcfileSyntaxError where the push was not checked
 */
export function chooseBuilder(
  files: WishFiles,
  app: { name: string; settings: Pick<AppSettings, 'builder' | 'buildpacks' | 'stack'> },
  rules: BuilderRules,
  folder?: string,
): BuilderChoice {
  const { settings } = app
  const isIgnored = ignoredOf(files)
  const has = (path: string): boolean => files.has(path) && !isIgnored(path, false)
  const text = has(DOCKERFILE) ? files.get(DOCKERFILE) : undefined
  const procfile = (): Map<string, string> => parseProcfile(has(PROCFILE) ? (files.get(PROCFILE) ?? '') : '')
  const other = (builder: Builder): string => `croft apps:set ${app.name} builder=${builder}`
  if (folder !== undefined) {
    if (text === undefined) return { kind: 'missing', ...noDockerfile(folder) }
    const line = `Building the Dockerfile of the folder ${folder}`
    return { kind: 'chosen', builder: 'dockerfile', text, procfile: procfile(), line }
  }
  const own = isBuilder(settings.builder) ? null : (settings.builder ?? null)
  if (own !== null && !isAllowedBuilder(own, rules.builderSources, rules.builder)) {
    return { kind: 'missing', ...builderRefusal(own, rules, app.name) }
  }
  if (settings.builder === 'dockerfile' && text === undefined) {
    return {
      kind: 'missing',
      cause: "the commit has no Dockerfile, which the app's setting builder asks for",
      suggestion: `commit a Dockerfile, or build with buildpacks: croft apps:set ${app.name} builder=`,
    }
  }
  const image = own ?? rules.builder
  if (text === undefined) return { kind: 'chosen', builder: 'buildpacks', image, line: null }
  const because = settings.builder === undefined ? whoAsks(files, has(PROCFILE), settings) : "the app's setting builder"
  if (settings.builder !== 'dockerfile' && because !== null) {
    const line = `Building with buildpacks, as ${because} asks for (with the Dockerfile: ${other('dockerfile')})`
    return { kind: 'chosen', builder: 'buildpacks', image, line }
  }
  return {
    kind: 'chosen',
    builder: 'dockerfile',
    text,
    procfile: procfile(),
    line: `Building the Dockerfile (with buildpacks: ${other('buildpacks')})`,
  }
}

/** Why an app may not name a builder image, and what it may. Pure. */
export function builderRefusal(
  reference: string,
  { builder, builderSources }: BuilderRules,
  app: string,
): { cause: string; suggestion: string } {
  const allowed = [
    ...builderSources.map((source) => `those at or below ${source}`),
    ...(builder === null ? [] : [builder]),
  ]
  return {
    cause: `apps may not be built by ${reference} on this platform`,
    suggestion: `allowed are ${allowed.join(', ') || 'none'}; croft apps:set ${app} builder= goes back to the default`,
  }
}

function isBuilder(text: string | undefined): text is Builder | undefined {
  return text === undefined || BUILDERS.some((builder) => builder === text)
}

/** What is said of a folder without one. Pure. */
export function noDockerfile(folder: string): { cause: string; suggestion: string } {
  return {
    cause: `the folder ${folder} has no file Dockerfile, or its ignore files leave it out`,
    suggestion: 'write one, or name the folder that has it: croft deploy --dockerfile FOLDER',
  }
}

/** What asks for buildpacks, or null. */
function whoAsks(
  files: WishFiles,
  hasProcfile: boolean,
  { buildpacks, stack }: Pick<AppSettings, 'buildpacks' | 'stack'>,
): string | null {
  const wishes = wishesOf(files, buildpacks ?? [], { sources: [], team: '' })
  if (wishes.group !== null) return wishes.from
  if (wishes.pre.length + wishes.post.length > 0) return 'project.toml'
  if (hasProcfile) return 'the Procfile'
  return stack === undefined ? null : `the stack ${stack}`
}
