import { Inject, Injectable, type OnApplicationBootstrap, type RequestMethod } from '@nestjs/common'
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js'
import { DiscoveryService, MetadataScanner } from '@nestjs/core'
import { POLICY } from './policy.js'
import type { PolicyName } from './roles.js'

/** A route of a controller class and what it demands. */
export interface PolicedRoute {
  /** e.g. `AppController.create`. */
  name: string
  method: RequestMethod
  /** With its parameters as `:app`. */
  path: string
  policy: PolicyName | undefined
  /** Where its metadata lie. */
  controller: ControllerClass
  handlerName: string
  handler: object
}

export type ControllerClass = new (...args: never[]) => object

/** A route as the HTTP server has it. */
export interface ServedRoute {
  method: string
  url: string
  /** Of a route that no controller class declares: `{ config: { policy } }` in its options; whoever adds it enforces it. */
  policy: unknown
}

/** Refuses to start while any route has no policy, whoever added it. */
@Injectable()
export class PolicyCheck implements OnApplicationBootstrap {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
  ) {}

  onApplicationBootstrap(): void {
    const bare = this.routes().filter((route) => route.policy === undefined)
    if (bare.length > 0) throw new Error(`routes without a policy: ${bare.map((route) => route.name).join(', ')}`)
  }

  /** Throws for a route the server has that neither a controller class with a policy nor its own options vouch for. */
  refuseUnpoliced(served: readonly ServedRoute[]): void {
    const policed = new Set(this.routes().map((route) => plainPath(route.path)))
    const bare = served.filter((route) => route.policy === undefined && !policed.has(plainPath(route.url)))
    if (bare.length === 0) return
    throw new Error(`routes without a policy: ${bare.map((route) => `${route.method} ${route.url}`).join(', ')}`)
  }

  /** Every route of every controller. */
  routes(): PolicedRoute[] {
    return this.discovery
      .getControllers()
      .flatMap(({ metatype }) =>
        typeof metatype === 'function' ? routesOf(metatype as ControllerClass, this.scanner) : [],
      )
  }
}

/** The routes a controller class declares. */
export function routesOf(controller: ControllerClass, scanner: MetadataScanner): PolicedRoute[] {
  const prototype = controller.prototype as Record<string, object>
  const prefixes = asList(Reflect.getMetadata(PATH_METADATA, controller))
  return scanner.getAllMethodNames(prototype).flatMap((handlerName) => {
    const handler = prototype[handlerName]
    const method: unknown = handler === undefined ? undefined : Reflect.getMetadata(METHOD_METADATA, handler)
    if (handler === undefined || typeof method !== 'number') return []
    const policy = (Reflect.getMetadata(POLICY, handler) ?? Reflect.getMetadata(POLICY, controller)) as
      | PolicyName
      | undefined
    const suffixes = asList(Reflect.getMetadata(PATH_METADATA, handler))
    return prefixes.flatMap((prefix) =>
      suffixes.map((suffix) => ({
        name: `${controller.name}.${handlerName}`,
        method,
        path: `/${prefix}/${suffix}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1'),
        policy,
        controller,
        handlerName,
        handler,
      })),
    )
  })
}

/** A path in which wildcards and parameters are spelt alike by the framework and by its server. */
function plainPath(path: string): string {
  return path
    .replace(/\{?\*\w*\}?/g, '*')
    .replace(/:\w+(\([^)]*\))?/g, ':')
    .replace(/(.)\/$/, '$1')
}

function asList(path: unknown): string[] {
  return (Array.isArray(path) ? path : [path ?? '']).map(String)
}
