import { BuildFailure } from '@croft/buildpack-kit'
import { PROCESS_TYPE, PROCESS_TYPE_RULE } from '@croft/kit/process-type'

/** The lines of a Procfile, type to command; of one type the last line counts. @throws BuildFailure */
export function parseProcfile(text: string): Map<string, string> {
  const types = new Map<string, string>()
  for (const [at, raw] of text.split(/\r\n|\n/).entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const remedy = 'write every line as  type: command  , e.g.  web: node server.js'
    const [, type, command] = /^([^:]*?)\s*:\s*(.+)$/.exec(line) ?? []
    if (type === undefined || command === undefined) {
      throw new BuildFailure(`Procfile, line ${at + 1}: expected  type: command`, remedy)
    }
    if (!PROCESS_TYPE.test(type)) throw new BuildFailure(`Procfile, line ${at + 1}: ${PROCESS_TYPE_RULE}`, remedy)
    types.set(type, command)
  }
  return types
}

/** One entry of `launch.toml`, as buildpack API 0.8 writes it: a shell runs the command, behind the profiles. */
export interface Process {
  type: string
  command: string
  default: boolean
  'working-dir': string
}

/** What an app can run: the Procfile's types, and the buildpack's where the Procfile has none. A `web` or the only one is the default. Pure. */
export function processesOf(
  procfile: ReadonlyMap<string, string>,
  defaults: ReadonlyMap<string, string>,
  workingDirectory: string,
): Process[] {
  const all = [...new Map([...defaults, ...procfile])]
  return all.map(([type, command]) => ({
    type,
    command,
    default: type === 'web' || all.length === 1,
    'working-dir': workingDirectory,
  }))
}
