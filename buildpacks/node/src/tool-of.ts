import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Layer } from '@croft/buildpack-kit'
import type { ChosenTool } from './choose-tool.js'
import { provideTool } from './tool-program.js'
import { Npm } from './tools/npm.js'
import { Pnpm, PNPM_ENV } from './tools/pnpm.js'
import { Yarn, YARN_ENV } from './tools/yarn.js'
import { YarnClassic } from './tools/yarn-classic.js'
import type { NodeLayer } from './node-layer.js'
import type { PackageJson } from './package-json.js'
import type { ToolSetting, PackageTool } from './package-tool.js'
import type { RegistryAccess } from './registry-package.js'
import { registryFor } from './registry-setting.js'
import { isCalledIn } from './start-command.js'
import type { Workspace } from './workspace.js'

export interface ToolInput {
  app: PackageJson
  workspace: Workspace
  node: NodeLayer
  access: RegistryAccess
  /** Lines that start processes of the app, which may name the manager. */
  starts: readonly string[]
  env: Record<string, string>
  read: (file: string) => string | null
}

/** The chosen manager, ready to be run. `layer` is where yarn and pnpm lie. @throws BuildFailure */
export async function toolOf(chosen: ChosenTool, layer: Layer, input: ToolInput): Promise<PackageTool> {
  const { app, workspace, read } = input
  const node = join(input.node.bin, 'node')
  const settingFor = (cacheLayer: string, files: readonly string[]): ToolSetting => {
    const registry = registryFor(input.env, files.map(read), (path) => readFileSync(path, 'utf8'))
    return { node, workspace, cache: layer.sibling(cacheLayer).path, registry, env: input.env }
  }
  if (chosen.kind === 'npm') {
    layer.remove()
    return new Npm(input.node.npmVersion, chosen.lockFile, settingFor('npm-cache', []))
  }
  const name = chosen.kind === 'pnpm' ? 'pnpm' : 'yarn'
  const program = await provideTool(layer, chosen.program, {
    name,
    node,
    workspace,
    access: input.access,
    isForLaunch: input.starts.some((line) => isCalledIn(line, name)),
    launchEnv: chosen.kind === 'pnpm' ? PNPM_ENV : chosen.kind === 'yarn' ? YARN_ENV : {},
  })
  if (chosen.kind === 'pnpm') {
    const hasPackages = /^packages:/m.test(read('pnpm-workspace.yaml') ?? '')
    const setting = settingFor('pnpm-store', ['.npmrc', 'pnpm-workspace.yaml'])
    return new Pnpm(program, chosen.lockFile, hasPackages, setting)
  }
  if (chosen.kind === 'yarn') return new Yarn(program, chosen.lockFile, app, settingFor('yarn-cache', ['.yarnrc.yml']))
  const hasArchives = /^"?yarn-offline-mirror"?\s/m.test(read('.yarnrc') ?? '')
  const setting = settingFor('yarn-cache', ['.npmrc', '.yarnrc'])
  return new YarnClassic(program, chosen.lockFile, hasArchives, app, setting)
}
