import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  // Fixtures contain errors on purpose; test/house lints them through ESLint's API with their own path. Templates are linted where they are written.
  { ignores: [...resolveIgnoresFromGitignore(), 'test/**/fixtures/**', 'scripts/new-module/template/**', 'clients/*/src/generated/**'] },
  ...neostandard({ ts: true }),
  {
    files: ['**/*.ts'],
    rules: {
      // `import type` and `import { type X }` mark imports that do not exist at run time. The boundary rules depend on it.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      // A TypeBox value and its type share a name; the compiler rejects every other redeclaration.
      '@typescript-eslint/no-redeclare': 'off',
      // Neither rule understands TypeScript: `throw errors[0]!` does throw an error, and a signal handler may change a loop's condition.
      'no-throw-literal': 'off',
      'no-unmodified-loop-condition': 'off',
      // `void promise` marks a promise that is not awaited on purpose.
      'no-void': 'off',
      'no-console': 'error'
    }
  },
  {
    // Rules with types. The rejection of a forgotten promise is unhandled and ends the process at an unexpected time.
    files: ['{src,local,scripts,test,bench,clients,examples}/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // tap waits for its own tests.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafePromises: [{ from: 'package', name: 'PromiseWithSubtest', package: '@tapjs/core' }] }],
      '@typescript-eslint/no-misused-promises': 'error'
    }
  },
  {
    // When an async listener in a test rejects, the test fails, as it should.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }] }
  },
  {
    // These print to a terminal for the user; the service itself logs.
    files: ['scripts/**', 'local/**', 'test/**', 'bench/**', 'examples/**', 'src/server.ts'],
    rules: { 'no-console': 'off' }
  }
]
