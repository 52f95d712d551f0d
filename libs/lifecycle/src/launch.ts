import { readFileSync } from 'node:fs'
import type { LayerEntry } from '@croft/oci'
import { escapeId } from './formats/buildpack-toml.js'
import type { LaunchProcess } from './formats/launch-toml.js'
import { writeMetadataToml, type LaunchMetadata } from './formats/metadata-toml.js'

export const LAUNCHER_PATH = '/cnb/lifecycle/launcher'
export const LAUNCHER_VERSION = '2'
const PROCESS_FOLDER = '/cnb/process'

/** A string as one word of a shell: single quotes around everything. Pure. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** What the launcher sources to start one process: assignments only, every value quoted. Pure. */
export function processFile(process: LaunchProcess): string {
  const list = (words: readonly string[]): string => `(${words.map(shellQuote).join(' ')})`
  return [
    `launcher_command=${list(process.command)}`,
    `launcher_args=${list(process.args)}`,
    `launcher_direct=${process.isDirect ? 1 : 0}`,
    `launcher_append=${process.userArguments === 'append' ? 1 : 0}`,
    `launcher_dir=${shellQuote(process.workingDirectory ?? '')}`,
    `launcher_exec_env=${list(process.execEnv)}`,
    '',
  ].join('\n')
}

/** The layer with the launcher itself, the same in every image of this version. */
export function launcherLayer(): LayerEntry[] {
  const content = readFileSync(new URL('../native/launcher.sh', import.meta.url), 'utf8')
  return [{ kind: 'file', path: LAUNCHER_PATH, content, isExecutable: true }]
}

/** The config layer: metadata.toml for tools, and beside it what the launcher reads, so that it needs no TOML parser. */
export function configLayer(metadata: LaunchMetadata, layersDirectory: string): LayerEntry[] {
  const folder = `${layersDirectory}/config`
  const buildpacks = metadata.buildpacks.map(({ id, api }) => `${escapeId(id)} ${api}\n`).join('')
  return [
    { kind: 'file', path: `${folder}/metadata.toml`, content: writeMetadataToml(metadata) },
    { kind: 'file', path: `${folder}/launch/buildpacks`, content: buildpacks },
    ...metadata.processes.map((process): LayerEntry => ({
      kind: 'file',
      path: `${folder}/launch/process/${process.type}`,
      content: processFile(process),
    })),
  ]
}

/** The layer whose links name the process types: starting `/cnb/process/web` starts the process `web`. */
export function processTypesLayer(processes: readonly LaunchProcess[]): LayerEntry[] {
  return [
    { kind: 'directory', path: PROCESS_FOLDER },
    ...processes.map(({ type }): LayerEntry => ({
      kind: 'symlink',
      path: `${PROCESS_FOLDER}/${type}`,
      target: LAUNCHER_PATH,
    })),
  ]
}

/** How a process type is started inside the image. */
export function processArgv(type: string): string[] {
  return [`${PROCESS_FOLDER}/${type}`]
}

/** What a person reads for a process: the line of a Procfile again, or the words. Pure. */
export function describeProcess({ command, args }: Pick<LaunchProcess, 'command' | 'args'>): string {
  const words = [...command, ...args]
  const [program, option, line] = words
  if (words.length === 3 && program === 'bash' && option === '-c' && line !== undefined) return line
  if (words.length === 1 && program !== undefined) return program
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellQuote(word))).join(' ')
}
