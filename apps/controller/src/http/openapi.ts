import { RequestMethod } from '@nestjs/common'
import { z } from 'zod'
import type { PolicyName } from '../auth/roles.js'

/** One route of the API as the document describes it. */
export interface DescribedRoute {
  method: RequestMethod
  /** With parameters as `:app`. */
  path: string
  /** Unique name, e.g. `AppController.create`. */
  name: string
  policy: PolicyName
  status: number
  body?: z.ZodType
  query?: z.ZodType
  answer?: z.ZodType
}

type Json = Record<string, unknown>

/** The OpenAPI 3.1 document of these routes; one source of truth with the validation, for both read the same schemas. Pure. */
export function openApiDocument(routes: readonly DescribedRoute[], version: string, serverUrl: string): Json {
  const paths: Record<string, Json> = {}
  for (const route of routes.toSorted((a, b) => (a.path + a.method < b.path + b.method ? -1 : 1))) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [RequestMethod[route.method].toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Croft', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: serverUrl }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: jsonSchema(problemSchema) },
    },
  }
}

const problemSchema = z.object({
  type: z.url(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  instance: z.string().optional(),
  requestId: z.string().optional(),
  suggestion: z.string().optional(),
  fields: z.record(z.string(), z.string()).optional(),
})

function operationOf(route: DescribedRoute): Json {
  const parameters = [...route.path.matchAll(/:(\w+)/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  return {
    operationId: route.name.replace('Controller.', '.'),
    'x-croft-policy': route.policy,
    ...(route.policy === 'public' && { security: [] }),
    ...((parameters.length > 0 || route.query !== undefined) && {
      parameters: [...parameters, ...queryParameters(route.query)],
    }),
    ...(route.body !== undefined && {
      requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(route.body) } } },
    }),
    responses: {
      [route.status]: {
        description: 'done',
        ...(route.answer !== undefined && { content: { 'application/json': { schema: jsonSchema(route.answer) } } }),
      },
      default: {
        description: 'a problem (RFC 9457)',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (query === undefined) return []
  const schema = jsonSchema(query) as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(schema.properties ?? {}).map(([name, of]) => ({
    name,
    in: 'query',
    required: schema.required?.includes(name) === true,
    schema: of,
  }))
}

function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json
  return rest
}
