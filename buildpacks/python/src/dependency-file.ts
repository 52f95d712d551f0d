/** Which file of an app says what it needs. Pure. */

export const DEPENDENCY_FILES = [
  'uv.lock',
  'poetry.lock',
  'Pipfile.lock',
  'requirements.txt',
  'pyproject.toml',
  'Pipfile',
  'setup.py',
] as const
export type DependencyFile = (typeof DEPENDENCY_FILES)[number]

export interface ChosenFile {
  file: DependencyFile
  /** Whether every version is said, so that one build is like the other. */
  isLocked: boolean
  /** Files that say so too and are passed over. */
  passedOver: DependencyFile[]
}

const LOCKS: readonly DependencyFile[] = ['uv.lock', 'poetry.lock', 'Pipfile.lock']

/**
 * The file that counts: a lock file before requirements.txt, this before what its tools would lock. A pyproject.toml without
 * dependencies says nothing: many apps keep the settings of their tools there. Null when no file says anything.
 */
export function chooseDependencyFile(texts: ReadonlyMap<string, string>): ChosenFile | null {
  const saying = DEPENDENCY_FILES.filter(
    (file) => texts.has(file) && (file !== 'pyproject.toml' || saysDependencies(texts.get(file) ?? '')),
  )
  const [file, ...others] = saying
  if (file === undefined) return null
  const sources: Partial<Record<DependencyFile, DependencyFile>> = {
    'uv.lock': 'pyproject.toml',
    'poetry.lock': 'pyproject.toml',
    'Pipfile.lock': 'Pipfile',
  }
  const passedOver = others.filter((other) => other !== sources[file] && other !== 'setup.py')
  return { file, isLocked: LOCKS.includes(file), passedOver }
}

function saysDependencies(text: string): boolean {
  return /^\s*\[project\]/m.test(text)
    ? /^\s*dependencies\s*=/m.test(text)
    : /^\s*\[tool\.poetry\.dependencies\]/m.test(text)
}
