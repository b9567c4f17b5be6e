import hooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

// Loaded before each file of tests. tap would follow every promise by a hook, to find the test that an uncaught error belongs
// to: a sixth of the CPU of all tests. Without the hook such an error ends the file, as in any program: its stack is printed,
// and the test that ran is reported as unfinished.
hooks.createHook = () => {
  const none = { enable: () => none, disable: () => none }
  return none
}
syncBuiltinESMExports()
