import { BuildpacksFileError, parseBuildpacksFile, parseProjectToml, TomlProblem } from '@croft/lifecycle'
import { EMPTY_MANIFEST, ManifestError, parseAppManifest, type AppManifest } from './app-manifest.js'
import { parseProcfile, ProcfileSyntaxError } from './procfile.js'
import { PushRefused } from './refusal.js'
import { named } from './text.js'

/**
 * Checks the platform's files of a source by their texts, so that a mistake in one is told with file, line and rule before anything is
 * built; what is said of the build is read again then. Gives what `app.json` says. Pure. @throws PushRefused
 */
export function checkFiles(files: ReadonlyMap<string, string>): AppManifest {
  checkWishes(files)
  checkProcfile(files.get('Procfile'))
  return manifestOf(files.get('app.json'))
}

function checkProcfile(text: string | undefined): void {
  if (text === undefined) return
  try {
    parseProcfile(text)
  } catch (error) {
    if (!(error instanceof ProcfileSyntaxError)) throw error
    throw new PushRefused({
      reason: 'procfile',
      cause: named(error.message, 200),
      suggestion: `correct line ${error.line}, for example "web: node server.js", then commit and push again`,
    })
  }
}

function checkWishes(files: ReadonlyMap<string, string>): void {
  try {
    const project = files.get('project.toml')
    if (project !== undefined) parseProjectToml(project)
    parseBuildpacksFile(files.get('.buildpacks') ?? '')
  } catch (error) {
    if (error instanceof TomlProblem) throw wishRefused('project.toml', `project.toml, ${error.message}`)
    if (error instanceof BuildpacksFileError) throw wishRefused('.buildpacks', error.message)
    throw error
  }
}

function wishRefused(file: string, cause: string): PushRefused {
  return new PushRefused({
    reason: 'platform-file',
    cause: named(cause, 300),
    suggestion: `correct ${file}, then commit and push again`,
  })
}

function manifestOf(text: string | undefined): AppManifest {
  if (text === undefined) return EMPTY_MANIFEST
  try {
    return parseAppManifest(text)
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    throw new PushRefused({
      reason: 'app-json',
      cause: named(error.message, 240),
      suggestion: 'correct app.json, then commit and push again',
    })
  }
}
