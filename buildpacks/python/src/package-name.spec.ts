import { describe, expect, it } from 'vitest'
import { debianPackages, normalName, presentPackage } from './package-name.js'

describe('the name of a Python package', () => {
  it.each([
    ['Flask', 'flask'],
    ['ruamel.yaml', 'ruamel-yaml'],
    ['zope__interface', 'zope-interface'],
  ])('%s is compared as %s', (name, normal) => expect(normalName(name)).toBe(normal))

  it.each([
    ['Django', 'python3-django'],
    ['PyYAML', 'python3-yaml'],
    ['beautifulsoup4', 'python3-bs4'],
    ['gunicorn', 'gunicorn'],
    ['psycopg2-binary', 'python3-psycopg2'],
    ['Flask-Login', 'python3-flask-login'],
  ])('%s is first looked for in Debian as %s', (name, expected) => expect(debianPackages(name)[0]).toBe(expected))

  it('is also looked for in the other ways Debian writes names', () => {
    expect(debianPackages('zope.interface')).toContain('python3-zope.interface')
    expect(debianPackages('python-slugify')).toContain('python3-slugify')
    expect(debianPackages('pyOpenSSL')).toContain('python3-openssl')
  })

  it.each([
    ['Flask-2.2.2.egg-info', 'flask', '2.2.2'],
    ['colorama-0.4.6.dist-info', 'colorama', '0.4.6'],
    ['Flask_Login-0.6.2.egg-info', 'flask-login', '0.6.2'],
    ['pytz-2022.7.1.egg-info', 'pytz', '2022.7.1'],
    ['simplejson-3.18.3-py3.11.egg-info', 'simplejson', '3.18.3'],
    ['flask', null, null],
    ['distutils-precedence.pth', null, null],
  ])('%s is %s %s', (file, name, version) => {
    expect(presentPackage(file)).toEqual(name === null ? null : { name, version })
  })
})
