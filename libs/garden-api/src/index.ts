export * from './backend.js'
export * from './errors.js'
export * from './event-log.js'
export * from './types.js'
