import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  // Fixtures are wrong on purpose; test/house lints them through ESLint's API with their own path.
  { ignores: [...resolveIgnoresFromGitignore(), 'test/**/fixtures/**'] },
  ...neostandard({ ts: true }),
  {
    files: ['**/*.ts'],
    rules: {
      // `import type` and `import { type X }` say what is gone at run time, which the boundaries' rules rest on.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      // A TypeBox value and its type share a name; the compiler refuses every other redeclaration.
      '@typescript-eslint/no-redeclare': 'off',
      // Neither understands TypeScript: `throw errors[0]!` throws an error, and a loop may wait for what a signal changes.
      'no-throw-literal': 'off',
      'no-unmodified-loop-condition': 'off',
      // `void promise` says that nobody waits for it.
      'no-void': 'off',
      'no-console': 'error'
    }
  },
  {
    // With types. A promise that is lost loses its error too, and ends the process at a moment of its own.
    files: ['{src,local,scripts,test,bench}/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // tap waits for its own tests.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafePromises: [{ from: 'package', name: 'PromiseWithSubtest', package: '@tapjs/core' }] }],
      '@typescript-eslint/no-misused-promises': 'error'
    }
  },
  {
    // A listener of a test that rejects ends the test, which is what it shall do.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }] }
  },
  {
    // A person at a terminal reads these; the service itself logs.
    files: ['scripts/**', 'local/**', 'test/**', 'bench/**', 'src/server.ts'],
    rules: { 'no-console': 'off' }
  }
]
