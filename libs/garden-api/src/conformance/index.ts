export { describeBackend, type BackendUnderTest, type ConformanceOptions } from './describe-backend.js'
export { fakeCommands, shellCommands, type Commands } from './commands.js'
export { filesOf, runToEnd, Sink, tarOf, waitForLog } from './streams.js'
