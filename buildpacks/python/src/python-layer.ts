import { existsSync, readdirSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import satisfies from 'semver/functions/satisfies.js'
import { BuildFailure, debsPaths, installDebs, prepended, run, say, type Layer } from '@croft/buildpack-kit'
import { askedPython, chooseStack, type AskedPython } from '@croft/stacks'
import { presentPackage } from './package-name.js'

/** Raised when the layer's own files change although the packages do not. */
const LAYOUT = 'python 1'
/** The second brings pip, as wheels that a virtual environment is given. */
const PYTHON = ['python3', 'python3-venv']
/** Where it is there, packages can be compiled, and find the headers of Python beside it. */
const COMPILER = '/usr/bin/cc'
/** What processes of an image get unless config vars say otherwise. */
const DEFAULTS = { 'LANG.default': 'C.UTF-8', 'PYTHONUNBUFFERED.default': '1', 'PYTHONHASHSEED.default': 'random' }
/** Parts of the library that no app's start reads, for the compiler of bytecode. */
const SELDOM = String.raw`/(test|tests|idlelib|lib2to3|turtledemo|tkinter|ensurepip|pydoc_data|distutils)/`

export interface PythonLayer {
  root: string
  /** `3.11.2` */
  version: string
  /** The interpreter: `<layer>/usr/bin/python3.11`. */
  program: string
  /** pip and what it needs, as paths for PYTHONPATH. */
  pip: string
  /** The packages of the layer with their versions, as one word. */
  debs: string
  /** The environment with this Python first. */
  env: Record<string, string>
}

/** What the app asks for, checked against the stack's release line before anything is fetched. @throws BuildFailure */
export function checkedPython(files: ReadonlyMap<string, string>, stackId: string): AskedPython | null {
  const asked = askedPython(files)
  if (asked === null) return null
  if (asked.range === null) {
    throw new BuildFailure(
      `${asked.source} asks for Python ${JSON.stringify(asked.text)}, which is no release of CPython`,
      'write a version there, e.g.  3.11',
    )
  }
  const choice = chooseStack(stackId, [{ runtime: 'python', range: asked.range, source: asked.source }])
  if (choice.kind !== 'chosen') throw new BuildFailure(choice.message, choice.remedy)
  return asked
}

/** Provides Python and, where they come from Debian, packages. @throws BuildFailure when it is not the version asked for */
export async function providePython(
  layer: Layer,
  asked: AskedPython | null,
  packages: readonly string[],
  env: Record<string, string>,
): Promise<PythonLayer> {
  say.step(
    asked === null ? "Installing Python (the stack's own)" : `Installing Python (${asked.text} in ${asked.source})`,
  )
  const { bin, lib } = debsPaths(layer.path)
  const paths = { PATH: bin.slice(0, 1).join(':'), LD_LIBRARY_PATH: lib.join(':') }
  const withPython = {
    ...env,
    LANG: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1', // a layer that was only read stays the layer it was
    PATH: `${paths.PATH}:${env['PATH'] ?? '/usr/bin:/bin'}`,
    LD_LIBRARY_PATH: [paths.LD_LIBRARY_PATH, env['LD_LIBRARY_PATH'] ?? ''].filter((part) => part !== '').join(':'),
  }
  const versions = await installDebs(
    layer,
    [...PYTHON, ...(existsSync(COMPILER) ? ['python3-dev'] : []), ...packages],
    {
      env,
      layout: LAYOUT,
      finish: async () => {
        const program = join(layer.path, 'usr/bin', `python${lineOf(layer.path)}`)
        symlinkSync('python3', join(layer.path, 'usr/bin/python'))
        await compileBytecode(program, [join(layer.path, 'usr/lib')], withPython)
        layer.env(prepended(paths))
        layer.launchEnv(DEFAULTS)
      },
    },
  )
  const program = join(layer.path, 'usr/bin', `python${lineOf(layer.path)}`)
  const said = await run(program, ['-c', 'import platform; print(platform.python_version())'], {
    cwd: '/tmp',
    env: withPython,
  })
  const version = said.stdout.trim()
  if (said.exitCode !== 0 || version === '') throw new Error(`Python of the layer does not run: ${said.stderr}`)
  if (asked !== null && asked.range !== null && !satisfies(version, asked.range)) {
    throw new BuildFailure(
      `the stack has Python ${version}, not Python ${asked.text}, which ${asked.source} asks for`,
      `ask for ${lineOf(layer.path)} there, which takes every fix of that line`,
    )
  }
  const wheels = join(layer.path, 'usr/share/python-wheels')
  return {
    root: layer.path,
    version,
    program,
    pip: (existsSync(wheels) ? readdirSync(wheels) : []).map((name) => join(wheels, name)).join(':'),
    debs: [...versions].map(([name, one]) => `${name}=${one}`).join(','),
    env: withPython,
  }
}

/** `3.11`, by the name of the interpreter. */
function lineOf(root: string): string {
  const name = readdirSync(join(root, 'usr/bin')).find((file) => /^python3\.\d+$/.test(file))
  if (name === undefined) throw new Error(`no Python below ${root}`)
  return name.slice('python'.length)
}

/** Bytecode that is found to be fresh whatever the times of its sources are: those of an image are all the same. */
export async function compileBytecode(
  program: string,
  folders: readonly string[],
  env: Record<string, string>,
): Promise<void> {
  const args = ['-m', 'compileall', '-q', '-j', '2', '-x', SELDOM, '--invalidation-mode', 'unchecked-hash', ...folders]
  await run(program, args, { cwd: '/tmp', env }) // what does not compile is for another Python, and is not imported either
}

/** The packages of Debian in the layer, by normal name. */
export function presentPackages(root: string): Map<string, string> {
  const folders = readdirSync(join(root, 'usr/lib')).filter((name) => /^python3(\.\d+)?$/.test(name))
  const files = folders
    .map((name) => join(root, 'usr/lib', name, 'dist-packages'))
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
  return new Map(
    files.flatMap((file) => {
      const found = presentPackage(basename(file))
      return found === null ? [] : [[found.name, found.version] as const]
    }),
  )
}
