import { describe, expect, it } from 'vitest'
import { collectStaticOutcome, secretKeyVariable } from './django.js'

describe('a Django app', () => {
  it.each([
    ["SECRET_KEY = os.environ['SECRET_KEY']", 'SECRET_KEY'],
    ["SECRET_KEY = os.environ.get('DJANGO_SECRET_KEY', 'x')", 'DJANGO_SECRET_KEY'],
    ['SECRET_KEY = env("SECRET_KEY")', 'SECRET_KEY'],
    ['SECRET_KEY = os.getenv("SECRET_KEY")', 'SECRET_KEY'],
    ["SECRET_KEY = 'written down'", null],
  ])('%s takes its key from %j', (settings, name) => expect(secretKeyVariable([settings])).toBe(name))

  it.each([
    [0, '128 static files copied', 'done'],
    [1, "Unknown command: 'collectstatic'", 'no-app'],
    [
      1,
      "You're using the staticfiles app without having set the STATIC_ROOT setting to a filesystem path.",
      'no-folder',
    ],
    [1, 'KeyError: DATABASE', 'failed'],
  ])('collectstatic that ends with %i and %j: %s', (code, output, outcome) => {
    expect(collectStaticOutcome(code, output)).toBe(outcome)
  })
})
