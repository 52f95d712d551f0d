export * from './instance-spec.js'
export * from './instance-status.js'
export * from './route-table.js'
export * from './watch.js'
