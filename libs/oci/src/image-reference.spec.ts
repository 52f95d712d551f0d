import { describe, expect, it } from 'vitest'
import { isLoopbackHost, originOf, parseReference } from './image-reference.js'

const digest = `sha256:${'a'.repeat(64)}`

describe('an image reference', () => {
  it.each([
    ['nginx', 'docker.io', 'library/nginx', 'latest', null],
    ['nginx:1.25', 'docker.io', 'library/nginx', '1.25', null],
    ['user/app', 'docker.io', 'user/app', 'latest', null],
    ['localhost/app', 'localhost', 'app', 'latest', null],
    ['localhost:8080/shop:v12', 'localhost:8080', 'shop', 'v12', null],
    ['ghcr.io/a/b/c:x', 'ghcr.io', 'a/b/c', 'x', null],
    ['[::1]:5000/app', '[::1]:5000', 'app', 'latest', null],
    [`registry.example/app@${digest}`, 'registry.example', 'app', null, digest],
    [`app:1@${digest}`, 'docker.io', 'library/app', '1', digest],
  ])('%s is read', (text, host, name, tag, of) => {
    expect(parseReference(text)).toEqual({ host, name, tag, digest: of })
  })
  it.each([
    '',
    'Nginx',
    'nginx:',
    'nginx:-x',
    'a//b',
    '/a',
    'a/',
    '../a',
    'a/../b',
    'http://a.b/c',
    'a.b:port/c',
    'a@sha256:zz',
    `a@md5:${'0'.repeat(32)}`,
    'a b',
    'a?b',
    'x'.repeat(600),
    'user:pw@host.example/app',
  ])('%j is none', (text) => {
    expect(() => parseReference(text)).toThrow('names no image')
  })
  it.each([
    ['docker.io', 'https://registry-1.docker.io', false],
    ['localhost:5000', 'http://localhost:5000', true],
    ['registry.localhost:8080', 'http://registry.localhost:8080', true],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000', true],
    ['[::1]:5000', 'http://[::1]:5000', true],
    ['10.0.0.1:5000', 'https://10.0.0.1:5000', false],
    ['localhost.example', 'https://localhost.example', false],
    ['127.0.0.1.example', 'https://127.0.0.1.example', false],
  ])('of host %s is asked for at %s', (host, origin, isLoopback) => {
    expect(originOf(host)).toBe(origin)
    expect(isLoopbackHost(host)).toBe(isLoopback)
  })
})
