import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { BuildFailure, Layer, prepended, runBuild, say } from '@croft/buildpack-kit'
import { PYTHON_FILES } from '@croft/stacks'
import { readDependencies, type Dependencies } from './dependencies.js'
import { chooseDependencyFile, DEPENDENCY_FILES } from './dependency-file.js'
import { collectStatic, secretKeyVariable } from './django.js'
import { formerOf, PackageInstaller } from './install.js'
import type { MarkerEnvironment } from './markers.js'
import { checkedPython, presentPackages, providePython } from './python-layer.js'
import { settingsModule, startCommand, type AppShape } from './start-command.js'

/** `bin/build` of the Python buildpack: Python, packages, static files, and how the app is started. */

const MACHINES: Partial<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }

await runBuild(async ({ layersDirectory, appDirectory, env }) => {
  const read = (file: string): string | undefined => {
    try {
      return readFileSync(join(appDirectory, file), 'utf8')
    } catch {
      return undefined
    }
  }
  const textsOf = (names: readonly string[]): Map<string, string> =>
    new Map(
      names.flatMap((name) =>
        [[name, read(name)] as const].filter((one): one is readonly [string, string] => one[1] !== undefined),
      ),
    )
  const stack = `${env['CNB_TARGET_DISTRO_NAME'] ?? ''}-${env['CNB_TARGET_DISTRO_VERSION'] ?? ''}`
  const asked = checkedPython(textsOf(PYTHON_FILES), stack)

  const pythonLayer = new Layer(layersDirectory, 'python')
  const venv = new Layer(layersDirectory, 'venv')
  const withDebs = (packages: readonly string[]): ReturnType<typeof providePython> =>
    providePython(pythonLayer, asked, packages, env)
  const former = formerOf(venv)
  const python = await withDebs(former?.source === 'debian' ? former.packages : [])

  const chosen = chooseDependencyFile(textsOf(DEPENDENCY_FILES))
  for (const other of chosen?.passedOver ?? [])
    say.warning(`${other} is not read: ${chosen?.file ?? ''} says what is needed`)
  const environment: MarkerEnvironment = {
    pythonVersion: python.version,
    machine: MACHINES[process.arch] ?? process.arch,
    extras: new Set(),
  }
  const dependencies = readDependencies(appDirectory, chosen, environment)
  const shape: AppShape = { packages: namesOf(dependencies), read, folders: foldersOf(appDirectory) }
  const start = startCommand(shape)
  if (start === null && !existsSync(join(appDirectory, 'Procfile'))) {
    throw new BuildFailure(
      'nothing says how the app is started',
      'name the application  app  in app.py, main.py or wsgi.py, or add a Procfile with a line  web: python server.py',
    )
  }
  const isServerMissing =
    start !== null && !existsSync(join(appDirectory, 'Procfile')) && !shape.packages.has(start.server)
  if (isServerMissing) say.warning(`${start.server} is not among the dependencies: the newest there is serves the app`)

  const installed = await new PackageInstaller({
    appDirectory,
    layer: venv,
    python,
    withDebs,
    dependencies,
    file: chosen?.file ?? 'requirements.txt',
    added: isServerMissing ? [start.server] : [],
    environment,
    env,
    platform: `${stack}-${process.arch}`,
  }).install()

  const settings = new Layer(layersDirectory, 'settings')
  settings.clear()
  const ownFolders = [appDirectory, ...(existsSync(join(appDirectory, 'src')) ? [join(appDirectory, 'src')] : [])]
  settings.env(prepended({ PYTHONPATH: ownFolders.join(':') }))
  settings.describe({ launch: true, build: true }, {})

  const isDjango = read('manage.py') !== undefined && hasDjango(shape, installed.python.root)
  if (isDjango) await collectStatic(appDirectory, { ...installed.env, PYTHONPATH: ownFolders.join(':') })
  const secret = isDjango ? secretKeyVariable(settingsTexts(shape)) : null
  writeFileSync(
    join(layersDirectory, 'launch.toml'),
    `${stringify({
      ...(start !== null && {
        processes: [{ type: 'web', command: ['bash', '-c'], args: [start.line], default: true }],
      }),
      ...(secret !== null && { labels: [{ key: 'io.croft.generated-config', value: secret }] }),
    })}\n`,
  )
})

function namesOf({ requirements }: Dependencies): Set<string> {
  return new Set(requirements.map(({ name }) => name))
}

function foldersOf(appDirectory: string): string[] {
  return readdirSync(appDirectory, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() && /^[A-Za-z_]\w*$/.test(entry.name) && !['tests', 'docs', 'venv'].includes(entry.name),
    )
    .map(({ name }) => name)
    .toSorted()
}

function hasDjango({ packages }: AppShape, root: string): boolean {
  return packages.has('django') || presentPackages(root).has('django')
}

/** The modules that may hold the settings of a Django app. */
function settingsTexts({ read, folders }: AppShape): string[] {
  const named = settingsModule(read('manage.py'))?.replaceAll('.', '/')
  const places = [named, ...folders.map((folder) => `${folder}/settings`)].filter((place) => place !== undefined)
  return places
    .flatMap((place) => [`${place}.py`, `${place}/__init__.py`, `${place}/base.py`])
    .flatMap((file) => read(file) ?? [])
}
