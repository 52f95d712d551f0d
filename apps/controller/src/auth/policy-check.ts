import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common'
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js'
import { DiscoveryService, MetadataScanner } from '@nestjs/core'
import { POLICY } from './policy.js'
import type { PolicyName } from './roles.js'

/** A route of a Nest controller and what it demands. */
export interface PolicedRoute {
  handler: string
  method: number
  path: string
  policy: PolicyName | undefined
}

/** Refuses to start while any route has no policy. */
@Injectable()
export class PolicyCheck implements OnApplicationBootstrap {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
  ) {}

  onApplicationBootstrap(): void {
    const bare = this.routes().filter((route) => route.policy === undefined)
    if (bare.length > 0) throw new Error(`routes without a policy: ${bare.map((route) => route.handler).join(', ')}`)
  }

  /** Every route of every controller. */
  routes(): PolicedRoute[] {
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      if (typeof metatype !== 'function') return []
      return routesOf(metatype as ControllerClass, this.scanner)
    })
  }
}

type ControllerClass = (new (...args: never[]) => object) & { prototype: object }

/** The routes a controller class declares. */
export function routesOf(controller: ControllerClass, scanner: MetadataScanner): PolicedRoute[] {
  const prototype = controller.prototype as Record<string, object>
  const base = asList(Reflect.getMetadata(PATH_METADATA, controller))
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const handler = prototype[name]
    const method: unknown = handler === undefined ? undefined : Reflect.getMetadata(METHOD_METADATA, handler)
    if (handler === undefined || typeof method !== 'number') return []
    const policy = (Reflect.getMetadata(POLICY, handler) ?? Reflect.getMetadata(POLICY, controller)) as
      | PolicyName
      | undefined
    const paths = asList(Reflect.getMetadata(PATH_METADATA, handler))
    return base.flatMap((first) =>
      paths.map((second) => ({
        handler: `${controller.name}.${name}`,
        method,
        path: `/${[first, second].join('/')}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1'),
        policy,
      })),
    )
  })
}

function asList(path: unknown): string[] {
  return (Array.isArray(path) ? path : [path ?? '']).map(String)
}
