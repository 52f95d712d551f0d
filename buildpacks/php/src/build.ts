import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BuildFailure, installDebs, Layer, runBuild, say, type BuildInput } from '@croft/buildpack-kit'
import { chooseStack, languagePackage, layerBill, wantedPhp } from '@croft/stacks'
import satisfies from 'semver/functions/satisfies.js'
import { stringify } from 'smol-toml'
import { runComposer } from './composer.js'
import { composerWork, parseComposerJson, wantedExtensions } from './composer-json.js'
import { phpEnvironment, writeConfig } from './config-layer.js'
import { extensionPackages, withoutUnavailable, type PhpLine } from './extensions.js'
import { modPhpLine } from './htaccess.js'
import { installedPackages } from './installed-packages.js'
import { relocateAutoloaders } from './relocate.js'
import { documentRoot, serversOf } from './servers.js'

/** `bin/build` of the PHP buildpack: PHP with its extensions, a web server, what Composer installs, and how the app is served. */

/** What came along with the packages and no app needs. */
const NEEDLESS = [
  'usr/include',
  'usr/lib/file',
  'usr/lib/systemd',
  'usr/lib/sysctl.d',
  'usr/share/X11',
  'usr/share/misc',
]
const SERVER_PACKAGES = { apache: 'apache2-bin', nginx: 'nginx', nginxOfDebian11: 'nginx-light' }

async function build({ layersDirectory, appDirectory, env }: BuildInput): Promise<void> {
  const exists = (file: string): boolean => existsSync(join(appDirectory, file))
  const read = (file: string): string | null => (exists(file) ? readFileSync(join(appDirectory, file), 'utf8') : null)
  const [manifest, lock] = [read('composer.json'), read('composer.lock')]
  const app = manifest === null ? null : parseComposerJson(manifest)
  const extensions = wantedExtensions(app, lock)
  const release = env['CNB_TARGET_DISTRO_VERSION'] ?? ''
  const wanted = wantedPhp(textsOf({ 'composer.json': manifest, 'composer.lock': lock }))
  const line = lineOf(release, wanted)
  const servers = serversOf(read('Procfile'))
  const work = app === null ? { isVendored: false, installs: false, compiles: false } : composerWork(app, exists)

  say.step(
    `Installing PHP ${line} with ${[servers.hasApache && 'Apache', servers.hasNginx && 'nginx'].filter(Boolean).join(' and ')}`,
  )
  const packages = [
    `php${line}-cli`,
    `php${line}-fpm`,
    ...extensionPackages(line, extensions),
    ...(servers.hasApache ? [SERVER_PACKAGES.apache] : []),
    ...(servers.hasNginx ? [release === '11' ? SERVER_PACKAGES.nginxOfDebian11 : SERVER_PACKAGES.nginx] : []),
    ...(work.installs || work.compiles ? ['composer'] : []),
    ...(release === '11' ? [] : ['systemd-standalone-tmpfiles']), // php-fpm would bring all of systemd for it
  ]
  const layer = new Layer(layersDirectory, 'php')
  const versions = await install(layer, line, packages, extensions, env)
  const phpVersion = /\d+\.\d+\.\d+/.exec(versions.get(`php${line}-cli`) ?? '')?.[0] ?? line
  if (wanted !== null && !satisfies(phpVersion, wanted.range)) {
    throw new BuildFailure(
      `Debian ${release} has PHP ${phpVersion}, not PHP ${wanted.range}, which ${wanted.source} asks for`,
      `ask for the release line instead, e.g.  "php": "${line}.*"`,
    )
  }
  const php = { root: layer.path, line, nginxHasErrorOption: release !== '11' }
  const config = new Layer(layersDirectory, 'config')
  writeConfig(config, php)

  if (work.isVendored) say.detail(`${app?.vendorDirectory} is committed and used as it is`)
  if (app !== null && (work.installs || work.compiles)) {
    const programs = { php: join(config.path, 'bin/php'), composer: join(config.path, 'bin/composer') }
    const phpEnv = phpEnvironment(php, config.path, env)
    await runComposer({ app, appDirectory, layersDirectory, ...programs, phpVersion, env: phpEnv }, work)
  }
  const installed = app === null ? null : read(`${app.vendorDirectory}/composer/installed.json`)
  if (installed !== null) {
    const components = installedPackages(installed).map(({ name, version }) =>
      languagePackage('composer', name, version),
    )
    new Layer(layersDirectory, 'launch').bill(layerBill(components)) // the vendor folder is part of the app
  }
  for (const path of servers.composerPaths) linkProgram(join(appDirectory, path), config.path)

  const root = documentRoot(exists)
  const settingLine = modPhpLine(read(join(root, '.htaccess')) ?? '')
  if (settingLine !== null) {
    const file = join(root, '.htaccess')
    say.warning(
      `${file}, line ${settingLine}: php_value and php_flag are for mod_php and make Apache answer 500; use .user.ini`,
    )
  }
  const web = { type: 'web', command: ['heroku-php-apache2'], args: root === '.' ? [] : [root], default: true }
  const processes = servers.hasApache ? [web] : []
  const slices = app === null || !exists(app.vendorDirectory) ? [] : [{ paths: [app.vendorDirectory] }]
  writeFileSync(join(layersDirectory, 'launch.toml'), `${stringify({ processes, slices })}\n`)
}

/** The packages in the layer. One of the usual extensions that the archive does not give at present is left out, with a warning. */
async function install(
  layer: Layer,
  line: PhpLine,
  packages: readonly string[],
  wanted: ReadonlyMap<string, string>,
  env: Record<string, string>,
): Promise<ReadonlyMap<string, string>> {
  const finish = (): void => {
    for (const path of NEEDLESS) rmSync(join(layer.path, path), { recursive: true, force: true })
    relocateAutoloaders(layer.path)
  }
  try {
    return await installDebs(layer, packages, { env, types: { launch: true, cache: true }, layout: 'php-2', finish })
  } catch (error) {
    const less = error instanceof BuildFailure ? withoutUnavailable(line, packages, error.message, wanted) : null
    if (less === null) throw error
    say.warning(
      `Debian's archive does not give php${line}-${less.extension} at present: it is left out, as nothing asks for it`,
    )
    return await install(layer, line, less.packages, wanted, env)
  }
}

/** PHP's release line on this stack. @throws BuildFailure when the app asks for another */
function lineOf(release: string, wanted: { range: string; source: string } | null): PhpLine {
  const choice = chooseStack(`debian-${release}`, wanted === null ? [] : [{ runtime: 'php', ...wanted }])
  if (choice.kind !== 'chosen') throw new BuildFailure(choice.message, choice.remedy)
  return choice.stack.runtimes.php as PhpLine
}

function textsOf(files: Record<string, string | null>): Map<string, string> {
  return new Map(Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== null))
}

/** A program of ours where Heroku's Composer package would have put it. */
function linkProgram(path: string, config: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(config, 'bin', path.slice(path.lastIndexOf('/') + 1)), path)
}

await runBuild(build)
