import { Controller, Get, Inject, RequestMethod } from '@nestjs/common'
import { HTTP_CODE_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js'
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js'
import { z } from 'zod'
import { platformUrl } from '../addresses.js'
import { PolicyCheck, type PolicedRoute } from '../auth/policy-check.js'
import { Policy } from '../auth/policy.js'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { ANSWERS } from './answers.js'
import { openApiDocument, type DescribedRoute } from './openapi.js'

const PREFIX = '/api/v1/'

@Controller('api/v1/openapi.json')
export class OpenApiController {
  constructor(
    @Inject(PolicyCheck) private readonly policies: PolicyCheck,
    @Inject(CONFIG) private readonly config: ControllerConfig,
  ) {}

  @Get()
  @Policy('public')
  document(): unknown {
    const routes = this.policies.routes().filter((route) => route.path.startsWith(PREFIX))
    return openApiDocument(routes.map(describe), this.config.version, platformUrl(this.config))
  }
}

function describe(route: PolicedRoute): DescribedRoute {
  const answer = schemaOf(Reflect.getMetadata(ANSWERS, route.handler))
  const body = argumentSchema(route, RouteParamtypes.BODY)
  const query = argumentSchema(route, RouteParamtypes.QUERY)
  const status = (Reflect.getMetadata(HTTP_CODE_METADATA, route.handler) as number | undefined) ?? undefined
  return {
    method: route.method,
    path: route.path,
    name: route.name,
    policy: route.policy ?? 'public',
    status: status ?? (route.method === RequestMethod.POST ? 201 : 200),
    ...(body !== undefined && { body }),
    ...(query !== undefined && { query }),
    ...(answer !== undefined && { answer }),
  }
}

/** The schema given to `@Body({ schema })` or `@Query({ schema })` of a handler. */
function argumentSchema(route: PolicedRoute, type: RouteParamtypes): z.ZodType | undefined {
  const all = (Reflect.getMetadata(ROUTE_ARGS_METADATA, route.controller, route.handlerName) ?? {}) as Record<
    string,
    { schema?: unknown; data?: unknown }
  >
  const found = Object.entries(all).find(([key, of]) => key.startsWith(`${type}:`) && of.data === undefined)
  return schemaOf(found?.[1].schema)
}

function schemaOf(value: unknown): z.ZodType | undefined {
  return value instanceof z.ZodType ? value : undefined
}
