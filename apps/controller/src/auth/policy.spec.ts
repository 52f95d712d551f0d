import 'reflect-metadata'
import { Controller, Get, Post } from '@nestjs/common'
import { MetadataScanner } from '@nestjs/core'
import { describe, expect, it } from 'vitest'
import { PolicyCheck, routesOf } from './policy-check.js'
import { Policy } from './policy.js'
import { allows, ROLES, type Action, type Role } from './roles.js'

@Controller('api/v1/things')
class GuardedController {
  @Get()
  @Policy('app:read')
  list(): void {}
  @Post(':thing')
  @Policy('app:write')
  change(): void {}
  notARoute(): void {}
}

@Controller('api/v1/other')
class ForgetfulController {
  @Get('bare')
  bare(): void {}
}

const checkOf = (...controllers: unknown[]): PolicyCheck =>
  new PolicyCheck(
    { getControllers: () => controllers.map((metatype) => ({ metatype })) } as never,
    new MetadataScanner(),
  )

describe('the policies of routes', () => {
  it('are read with their paths', () => {
    expect(routesOf(GuardedController, new MetadataScanner()).map(({ path, policy }) => [path, policy])).toEqual([
      ['/api/v1/things', 'app:read'],
      ['/api/v1/things/:thing', 'app:write'],
    ])
  })
  it('let a controller start when every route has one', () => {
    expect(() => checkOf(GuardedController).onApplicationBootstrap()).not.toThrow()
  })
  it('keep it from starting when one route has none, which is named', () => {
    expect(() => checkOf(GuardedController, ForgetfulController).onApplicationBootstrap()).toThrow(
      'routes without a policy: ForgetfulController.bare',
    )
  })
  it('keep it from starting when the server has a route nobody vouches for', () => {
    const check = checkOf(GuardedController)
    const known = [
      { method: 'GET', url: '/api/v1/things', policy: undefined },
      { method: 'HEAD', url: '/api/v1/things/', policy: undefined },
      { method: 'POST', url: '/api/v1/things/:id', policy: undefined },
      { method: 'GET', url: '/v2/*', policy: 'public' },
    ]
    expect(() => check.refuseUnpoliced(known)).not.toThrow()
    const bare = [...known, { method: 'GET', url: '/debug', policy: undefined }]
    expect(() => check.refuseUnpoliced(bare)).toThrow('routes without a policy: GET /debug')
  })
})

describe('roles', () => {
  const cases: [Role, Action, boolean][] = [
    ['viewer', 'app:read', true],
    ['viewer', 'log:read', true],
    ['viewer', 'config:read', false],
    ['viewer', 'app:deploy', false],
    ['viewer', 'app:write', false],
    ['machine', 'app:deploy', true],
    ['machine', 'app:create', true],
    ['machine', 'config:read', false],
    ['machine', 'app:destroy', false],
    ['developer', 'config:write', true],
    ['developer', 'app:destroy', true],
    ['developer', 'team:manage', false],
    ['owner', 'team:manage', true],
    ['owner', 'platform:operate', false],
    ['operator', 'platform:operate', true],
  ]
  it.each(cases)('%s and %s: %s', (role, action, isAllowed) => {
    expect(allows(role, action)).toBe(isAllowed)
  })
  it('only grow from viewer to developer to owner to operator', () => {
    const ladder: Role[] = ['viewer', 'developer', 'owner', 'operator']
    for (const [index, role] of ladder.slice(1).entries()) {
      const below = ladder[index] ?? 'viewer'
      expect(ROLES[below].filter((action) => !allows(role, action))).toEqual([])
    }
  })
})
