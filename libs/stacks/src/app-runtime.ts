import type { WantedRuntime } from './choose-stack.js'
import type { Runtime } from './stacks.js'
import { PHP_FILES, wantedPhp } from './wanted-php.js'
import { PYTHON_FILES, wantedPython } from './wanted-python.js'
import { RUBY_FILES, wantedRuby } from './wanted-ruby.js'

/** What an app is written in, as its files tell. Pure. */
export interface AppRuntime {
  runtime: Runtime
  /** Null when it leaves the version open. */
  wanted: WantedRuntime | null
}

interface Language {
  runtime: Runtime
  /** Whether the buildpack of this language would take the app. */
  isSpoken: (has: (path: string) => boolean) => boolean
  wanted: (files: ReadonlyMap<string, string>) => { range: string; source: string } | null
}

const PYTHON_MARKS = [
  'requirements.txt',
  'pyproject.toml',
  'Pipfile',
  'Pipfile.lock',
  'poetry.lock',
  'uv.lock',
  'setup.py',
  'manage.py',
]
const PYTHON_PROGRAMS = ['manage.py', 'wsgi.py', 'app.py', 'main.py']
const PHP_MARKS = ['composer.json', 'index.php', 'public/index.php', 'web/index.php']
const RUBY_MARKS = ['Gemfile', 'gems.rb']

/** In the order in which buildpacks are tried. */
const LANGUAGES: readonly Language[] = [
  { runtime: 'php', isSpoken: (has) => PHP_MARKS.some(has), wanted: wantedPhp },
  { runtime: 'ruby', isSpoken: (has) => RUBY_MARKS.some(has), wanted: wantedRuby },
  {
    runtime: 'python',
    // what tools of a Node app bring along makes it no Python app
    isSpoken: (has) => PYTHON_MARKS.some(has) && (!has('package.json') || PYTHON_PROGRAMS.some(has)),
    wanted: wantedPython,
  },
]

/** Paths whose texts say which version an app asks for. */
export const VERSION_FILES: ReadonlySet<string> = new Set([...RUBY_FILES, ...PYTHON_FILES, ...PHP_FILES])
/** Paths whose presence says what an app is written in. */
export const LANGUAGE_MARKS: ReadonlySet<string> = new Set([
  ...RUBY_MARKS,
  ...PYTHON_MARKS,
  ...PYTHON_PROGRAMS,
  ...PHP_MARKS,
  'package.json',
])

/**
 * The runtime of an app that comes with its stack, or null when it needs none: Node.js runs on every stack. `present` are the
 * LANGUAGE_MARKS it has, `files` the texts of the VERSION_FILES.
 */
export function appRuntime(present: ReadonlySet<string>, files: ReadonlyMap<string, string>): AppRuntime | null {
  const language = LANGUAGES.find(({ isSpoken }) => isSpoken((path) => present.has(path)))
  if (language === undefined) return null
  const wanted = language.wanted(files)
  return { runtime: language.runtime, wanted: wanted === null ? null : { runtime: language.runtime, ...wanted } }
}
