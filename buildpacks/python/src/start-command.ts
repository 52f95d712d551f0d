/** How a Python app is started when no Procfile says it. Pure. */

export interface AppShape {
  /** Normal names of the packages it has. */
  packages: ReadonlySet<string>
  /** The text of a file of the app, or undefined. */
  read: (file: string) => string | undefined
  /** The folders of the app's top folder. */
  folders: readonly string[]
}

export interface Start {
  server: 'gunicorn' | 'uvicorn' | 'daphne' | 'hypercorn'
  /** For bash; every server listens on $PORT and on all addresses. */
  line: string
}

const MODULES = ['wsgi', 'asgi', 'app', 'application', 'main', 'server']
const ASGI_FRAMEWORKS = ['fastapi', 'starlette', 'litestar', 'quart', 'blacksheep']

/** The module of settings that manage.py names, or undefined. */
export function settingsModule(managePy: string | undefined): string | undefined {
  return /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]/.exec(managePy ?? '')?.[1]
}

/** The `web` process of the app; null when nothing says what it is. */
export function startCommand(shape: AppShape): Start | null {
  return djangoStart(shape) ?? moduleStart(shape)
}

function djangoStart({ read, folders, packages }: AppShape): Start | null {
  const manage = read('manage.py')
  if (manage === undefined) return null
  const settings = settingsModule(manage)
  // `shop.settings.production` and `shop.settings` both lie beside shop/wsgi.py
  const own = settings === undefined ? [] : ancestors(settings)
  const places = [...own, ...folders]
  const wsgi = places.find((place) => read(`${place.replaceAll('.', '/')}/wsgi.py`) !== undefined)
  if (wsgi !== undefined) return { server: 'gunicorn', line: `exec gunicorn ${wsgi}.wsgi` }
  const asgi = places.find((place) => read(`${place.replaceAll('.', '/')}/asgi.py`) !== undefined)
  return asgi === undefined ? null : asgiStart(`${asgi}.asgi:application`, packages)
}

function ancestors(module: string): string[] {
  const parts = module.split('.').slice(0, -1)
  return parts.map((_part, place) => parts.slice(0, parts.length - place).join('.'))
}

function moduleStart({ packages, read, folders }: AppShape): Start | null {
  const files = [
    ...MODULES.map((module) => [module, `${module}.py`]),
    ...folders.flatMap((folder) => [
      [folder, `${folder}/__init__.py`],
      ...['wsgi', 'app', 'main'].map((module) => [`${folder}.${module}`, `${folder}/${module}.py`]),
    ]),
  ] as [string, string][]
  for (const [module, file] of files) {
    const text = read(file)
    const object = text === undefined ? null : objectIn(text)
    if (text === undefined || object === null) continue
    const isAsgi = ASGI_FRAMEWORKS.some(
      (name) => packages.has(name) && new RegExp(`^\\s*(from|import) ${name}\\b`, 'm').test(text),
    )
    const target = `${module}:${object}`
    return isAsgi || module.endsWith('asgi')
      ? asgiStart(target, packages)
      : { server: 'gunicorn', line: `exec gunicorn ${quoted(target)}` }
  }
  return null
}

/** The application object of a module: a name, or a factory to call. */
function objectIn(text: string): string | null {
  const assigned = /^(app|application)\s*(?::[^=\n]+)?=(?!=)/m.exec(text)?.[1]
  const imported = /^from\s+\S+\s+import\s+(?:\(\s*)?(?:[^\n]*\W)?(app|application)\b/m.exec(text)?.[1]
  const factory = /^def (create_app|make_app)\(/m.exec(text)?.[1]
  return assigned ?? imported ?? (factory === undefined ? null : `${factory}()`)
}

function asgiStart(target: string, packages: ReadonlySet<string>): Start | null {
  const factory = target.endsWith('()')
  const bare = factory ? target.slice(0, -2) : target
  if (packages.has('uvicorn') || packages.has('fastapi')) {
    return {
      server: 'uvicorn',
      line: `exec uvicorn ${bare}${factory ? ' --factory' : ''} --host 0.0.0.0 --port "$PORT"`,
    }
  }
  if (packages.has('daphne') && !factory) return { server: 'daphne', line: `exec daphne -b 0.0.0.0 -p "$PORT" ${bare}` }
  if (packages.has('hypercorn'))
    return { server: 'hypercorn', line: `exec hypercorn ${quoted(target)} --bind "0.0.0.0:$PORT"` }
  return null
}

function quoted(word: string): string {
  return /^[\w.:-]+$/.test(word) ? word : `'${word}'`
}
