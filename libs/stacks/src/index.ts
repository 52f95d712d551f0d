export * from './choose-stack.js'
export * from './composer-constraint.js'
export * from './stacks.js'
export * from './wanted-php.js'
