import type { AppSettings } from '../app/app-settings.js'
import { parseProcfile } from '../push/procfile.js'
import { ignoredOf, wishesOf, type WishFiles } from './build-wishes.js'

/** What turns a source into an image. */
export const BUILDERS = ['dockerfile', 'buildpacks'] as const
export type Builder = (typeof BUILDERS)[number]

/** The file that is built when the Dockerfile builds. */
export const DOCKERFILE = 'Dockerfile'
const PROCFILE = 'Procfile'

export type BuilderChoice =
  /** `line` tells whoever pushes which way was taken and how to take the other; null when there is only one. */
  | { kind: 'chosen'; builder: 'buildpacks'; line: string | null }
  /** `procfile`: process types beside those of the image, and their commands. */
  | { kind: 'chosen'; builder: 'dockerfile'; line: string; text: string; procfile: ReadonlyMap<string, string> }
  | { kind: 'missing'; cause: string; suggestion: string }

/**
 * The builder of a source: the app's setting, else buildpacks where somebody asks for them (a setting of the app, `.buildpacks`,
 * `project.toml`, a Procfile, a stack), else its Dockerfile, else buildpacks. A file that is no part of the app is none here. Pure.
 * @throws ProcfileSyntaxError where the push was not checked
 */
export function chooseBuilder(
  files: WishFiles,
  app: { name: string; settings: Pick<AppSettings, 'builder' | 'buildpacks' | 'stack'> },
): BuilderChoice {
  const { settings } = app
  const isIgnored = ignoredOf(files)
  const has = (path: string): boolean => files.has(path) && !isIgnored(path, false)
  const text = has(DOCKERFILE) ? files.get(DOCKERFILE) : undefined
  const other = (builder: Builder): string => `croft apps:set ${app.name} builder=${builder}`
  if (settings.builder === 'dockerfile' && text === undefined) {
    return {
      kind: 'missing',
      cause: "the commit has no Dockerfile, which the app's setting builder asks for",
      suggestion: `commit a Dockerfile, or build with buildpacks: croft apps:set ${app.name} builder=`,
    }
  }
  if (text === undefined) return { kind: 'chosen', builder: 'buildpacks', line: null }
  const because = settings.builder === undefined ? whoAsks(files, has(PROCFILE), settings) : "the app's setting builder"
  if (settings.builder === 'buildpacks' || (settings.builder === undefined && because !== null)) {
    const line = `Building with buildpacks, as ${because} asks for (with the Dockerfile: ${other('dockerfile')})`
    return { kind: 'chosen', builder: 'buildpacks', line }
  }
  return {
    kind: 'chosen',
    builder: 'dockerfile',
    text,
    procfile: parseProcfile(has(PROCFILE) ? (files.get(PROCFILE) ?? '') : ''),
    line: `Building the Dockerfile (with buildpacks: ${other('buildpacks')})`,
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
