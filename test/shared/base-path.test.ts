import t from 'tap'
import { basePathOf } from '../../src/shared/base-path.ts'

t.test('the path of a public URL has no slash at its end, and is empty at the root', async t => {
  for (const [url, path] of [['https://users.example.com', ''], ['https://users.example.com/', ''], ['https://example.com/users', '/users'], ['https://example.com/users/', '/users'], ['https://example.com/a/b/', '/a/b'], ['https://example.com/a?b=/', '/a']] as const) {
    t.equal(basePathOf(url), path, url)
  }
})
