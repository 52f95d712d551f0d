import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildFailure, debsPaths, installDebs, Layer, runBuild, say, type BuildInput } from '@croft/buildpack-kit'
import { stringify } from 'smol-toml'
import { nginxConf } from './nginx-conf.js'
import { siteOf } from './site-of.js'

/** `bin/build` of the buildpack for static sites: nginx, and its configuration from the files the site carries. */

const NEEDLESS = ['usr/bin', 'usr/share/doc', 'etc/iproute2', 'usr/lib/iproute2', 'usr/sbin/ip', 'var']

async function build({ layersDirectory, appDirectory, env }: BuildInput): Promise<void> {
  const exists = (file: string): boolean =>
    statSync(join(appDirectory, file), { throwIfNoEntry: false })?.isFile() === true
  const read = (file: string): string | null => (exists(file) ? readFileSync(join(appDirectory, file), 'utf8') : null)
  const { value: site, warnings } = siteOf(read)
  for (const warning of warnings) say.warning(warning)
  if (!existsSync(join(appDirectory, site.root))) {
    throw new BuildFailure(
      `the folder ${site.root}, which is to be served, is not in the app`,
      'commit it, or name the folder of the finished pages as root in static.json',
    )
  }
  const startPage = ['index.html', 'index.htm'].map((name) => (site.root === '.' ? name : `${site.root}/${name}`))
  if (!startPage.some(exists) && !site.listsFolders)
    say.warning(`there is no ${startPage[0]}: the address itself will answer 404`)

  say.step('Installing nginx')
  const isDebian11 = env['CNB_TARGET_DISTRO_VERSION'] === '11'
  const layer = new Layer(layersDirectory, 'nginx')
  await installDebs(layer, [isDebian11 ? 'nginx-light' : 'nginx'], {
    env,
    types: { launch: true, cache: true },
    layout: 'static-1',
    finish: () => NEEDLESS.forEach((path) => rmSync(join(layer.path, path), { recursive: true, force: true })),
  })
  const config = new Layer(layersDirectory, 'config')
  config.clear()
  mkdirSync(join(config.path, 'bin'))
  const program = join(config.path, 'bin/serve-static')
  copyFileSync(join(env['CNB_BUILDPACK_DIR'] ?? '', 'launch/serve-static'), program)
  chmodSync(program, 0o755)
  writeFileSync(join(config.path, 'nginx.conf'), nginxConf(site, layer.path))
  const options = isDebian11 ? '' : '-e stderr' // where to complain before the configuration is read
  writeFileSync(join(config.path, 'paths'), `server=${layer.path}\nnginx_options=(${options})\n`)
  config.launchEnv({ 'LD_LIBRARY_PATH.prepend': debsPaths(layer.path).lib.join(':'), 'LD_LIBRARY_PATH.delim': ':' })
  config.describe({ launch: true }, {})
  say.detail(
    `serving ${site.root === '.' ? 'the app folder' : site.root}${described(site.rules.length, site.headers.length)}`,
  )
  const processes = [{ type: 'web', command: ['serve-static'], args: [], default: true }]
  writeFileSync(join(layersDirectory, 'launch.toml'), `${stringify({ processes })}\n`)
}

function described(rules: number, headers: number): string {
  const parts = [
    ...(rules === 0 ? [] : [`${rules} rule${rules === 1 ? '' : 's'}`]),
    ...(headers === 0 ? [] : [`${headers} header${headers === 1 ? '' : 's'}`]),
  ]
  return parts.length === 0 ? '' : ` with ${parts.join(' and ')}`
}

await runBuild(build)
