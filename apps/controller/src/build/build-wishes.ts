import {
  parseBuildpacksFile,
  parseBuildpackChoice,
  parseProjectToml,
  type BuildpackChoice,
  type ProjectToml,
} from '@croft/lifecycle'
import type { BuildReach, BuildWishes } from '@croft/protocol'
import { parseIgnoreFile, type IsIgnored } from '../push/ignore-file.js'

/** Files of a source by which an app tells what belongs to it and how it is built. */
export const WISH_FILES = ['project.toml', '.buildpacks', '.croftignore', '.slugignore', 'Procfile', 'Dockerfile']

/** The text of such a file, by name; absent ones are not in it. */
export type WishFiles = ReadonlyMap<string, string>

/**
 * What an app wants of its build. The app's own setting counts before `.buildpacks`, that before `project.toml`. The files
 * were checked when they were pushed; of one that is broken all the same nothing counts. Pure.
 */
export function wishesOf(
  files: WishFiles,
  setting: readonly string[],
  rules: { sources: readonly string[]; team: string; reach?: BuildReach },
): BuildWishes {
  const project = projectOf(files)
  const chosen = [
    { from: "the app's setting", group: setting.flatMap((text) => parseBuildpackChoice(text) ?? []) },
    { from: '.buildpacks', group: buildpacksOf(files) },
    { from: 'project.toml', group: project?.group ?? [] },
  ].find(({ group }) => group.length > 0)
  return {
    group: chosen?.group ?? null,
    from: chosen?.from ?? '',
    pre: project?.pre ?? [],
    post: project?.post ?? [],
    env: project?.env ?? {},
    team: rules.team,
    sources: [...rules.sources],
    ...(rules.reach !== undefined && { reach: rules.reach }),
  }
}

/** Which files of a commit are no part of the app: what the ignore files name, and what `project.toml` leaves out. Pure. */
export function ignoredOf(files: WishFiles): IsIgnored {
  const ignored = ['.croftignore', '.slugignore'].map((name) => parseIgnoreFile(files.get(name) ?? ''))
  const { include = null, exclude = null } = projectOf(files) ?? {}
  const excludes = parseIgnoreFile((exclude ?? []).join('\n'))
  const includes = include === null ? null : parseIgnoreFile(include.join('\n'))
  return (path, isFolder) =>
    ignored.some((isIgnored) => isIgnored(path, isFolder)) ||
    excludes(path, isFolder) ||
    // A folder is left out only when nothing below it could be meant.
    (includes !== null && !isFolder && !includes(path, false))
}

function projectOf(files: WishFiles): ProjectToml | null {
  const text = files.get('project.toml')
  if (text === undefined) return null
  try {
    return parseProjectToml(text)
  } catch {
    return null
  }
}

function buildpacksOf(files: WishFiles): BuildpackChoice[] {
  try {
    return parseBuildpacksFile(files.get('.buildpacks') ?? '')
  } catch {
    return []
  }
}
