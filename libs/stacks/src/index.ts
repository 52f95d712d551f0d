export * from './choose-stack.js'
export * from './stacks.js'
