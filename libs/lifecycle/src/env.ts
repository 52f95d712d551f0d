/** Rules by which buildpacks, users and operators shape the environment of later buildpacks. Pure. */
export type Env = Readonly<Record<string, string>>

/** Variables that hold lists of folders: a user's value is put before the image's. */
const PATH_VARIABLES = ['PATH', 'LD_LIBRARY_PATH', 'LIBRARY_PATH', 'CPATH', 'PKG_CONFIG_PATH']

/** Which folder of a `build` layer is put before which variables. */
const BUILD_ROOTS: readonly [folder: string, variables: readonly string[]][] = [
  ['bin', ['PATH']],
  ['lib', ['LD_LIBRARY_PATH', 'LIBRARY_PATH']],
  ['include', ['CPATH']],
  ['pkgconfig', ['PKG_CONFIG_PATH']],
]

/** What of the surroundings every buildpack sees; nothing else is handed on. */
const INHERITED = [
  'CNB_STACK_ID',
  'HOSTNAME',
  'HOME',
  ...['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
  ...PATH_VARIABLES,
]

/** The environment a build starts from: of the build image's variables those that buildpacks may rely on. Pure. */
export function inheritedEnv(surroundings: Env): Env {
  return Object.fromEntries(Object.entries(surroundings).filter(([name]) => INHERITED.includes(name)))
}

/** The folders whose presence in a layer `withBuildRoots` wants to know. */
export const BUILD_ROOT_FOLDERS = BUILD_ROOTS.map(([folder]) => folder)

function prepend(env: Env, name: string, value: string, delimiter: string): Env {
  const old = env[name] ?? ''
  return { ...env, [name]: old === '' ? value : value + delimiter + old }
}

/** The user's build-time variables: path variables are put before, others replace. */
export function withUserEnv(env: Env, user: Env): Env {
  let result: Env = env
  for (const [name, value] of Object.entries(user)) {
    result = PATH_VARIABLES.includes(name) ? prepend(result, name, value, ':') : { ...result, [name]: value }
  }
  return result
}

/**
 * The files of one `env` folder, name to whole content. `NAME` or `NAME.override` replaces, `.prepend` and `.append` join with
 * the content of `NAME.delim` of the same folder (when the old value is not empty), `.default` counts only when the old value
 * is empty; another suffix is ignored. `bare` is what a name without suffix means.
 */
export function withEnvFiles(
  env: Env,
  files: ReadonlyMap<string, string>,
  bare: 'override' | 'default' = 'override',
): Env {
  let result: Env = env
  for (const [file, value] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const dot = file.indexOf('.')
    const name = dot === -1 ? file : file.slice(0, dot)
    const suffix = dot === -1 ? bare : file.slice(dot + 1)
    const delimiter = files.get(`${name}.delim`) ?? ''
    const old = result[name] ?? ''
    if (suffix === 'override') result = { ...result, [name]: value }
    else if (suffix === 'prepend') result = prepend(result, name, value, delimiter)
    else if (suffix === 'append') result = { ...result, [name]: old === '' ? value : old + delimiter + value }
    else if (suffix === 'default' && old === '') result = { ...result, [name]: value }
  }
  return result
}

/** A `build` layer's `bin`, `lib`, `include` and `pkgconfig`, those that are there, put before their variables. */
export function withBuildRoots(env: Env, layerDirectory: string, folders: ReadonlySet<string>): Env {
  let result: Env = env
  for (const [folder, variables] of BUILD_ROOTS) {
    if (!folders.has(folder)) continue
    for (const variable of variables) result = prepend(result, variable, `${layerDirectory}/${folder}`, ':')
  }
  return result
}

/** `K=V` strings of an environment, as processes are started with. */
export function envList(env: Env): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`)
}
