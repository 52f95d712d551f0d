import { describe, expect, it } from 'vitest'
import { settingsModule, startCommand } from './start-command.js'

const start = (packages: string[], files: Record<string, string>): string | null => {
  const folders = [
    ...new Set(
      Object.keys(files)
        .filter((file) => file.includes('/'))
        .map((file) => file.split('/')[0] ?? ''),
    ),
  ]
  return startCommand({ packages: new Set(packages), read: (file) => files[file], folders })?.line ?? null
}
const MANAGE = "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.production')"

describe('the start of a Python app without a Procfile', () => {
  it.each<[what: string, packages: string[], files: Record<string, string>, line: string | null]>([
    ['Flask', ['flask'], { 'app.py': 'from flask import Flask\napp = Flask(__name__)\n' }, 'exec gunicorn app:app'],
    ['an application', [], { 'wsgi.py': 'application: App = make()\n' }, 'exec gunicorn wsgi:application'],
    [
      'an imported one',
      ['flask'],
      { 'wsgi.py': 'from shop import app\n', 'shop/__init__.py': '' },
      'exec gunicorn wsgi:app',
    ],
    [
      'a factory',
      ['flask'],
      { 'shop/__init__.py': 'def create_app(config=None):\n' },
      "exec gunicorn 'shop:create_app()'",
    ],
    ['a comparison', [], { 'main.py': 'app == 1\n' }, null],
    ['Django', ['django'], { 'manage.py': MANAGE, 'shop/wsgi.py': '' }, 'exec gunicorn shop.wsgi'],
    ['Django that names no settings', ['django'], { 'manage.py': '', 'site/wsgi.py': '' }, 'exec gunicorn site.wsgi'],
    [
      'Django with ASGI alone',
      ['django', 'uvicorn'],
      { 'manage.py': MANAGE, 'shop/asgi.py': '' },
      'exec uvicorn shop.asgi:application --host 0.0.0.0 --port "$PORT"',
    ],
    [
      'FastAPI',
      ['fastapi', 'uvicorn'],
      { 'main.py': 'from fastapi import FastAPI\napp = FastAPI()\n' },
      'exec uvicorn main:app --host 0.0.0.0 --port "$PORT"',
    ],
    [
      'Starlette with Hypercorn',
      ['starlette', 'hypercorn'],
      { 'app.py': 'import starlette\napp = make()\n' },
      'exec hypercorn app:app --bind "0.0.0.0:$PORT"',
    ],
    ['Starlette without a server', ['starlette'], { 'app.py': 'import starlette\napp = make()\n' }, null],
    ['a script', [], { 'job.py': 'print(1)\n' }, null],
  ])('%s', (_what, packages, files, line) => expect(start(packages, files)).toBe(line))

  it('knows the settings of manage.py', () => {
    expect(settingsModule(MANAGE)).toBe('shop.settings.production')
    expect(settingsModule(undefined)).toBeUndefined()
  })
})
