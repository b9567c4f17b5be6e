// Who may import whom. test/house/boundaries.test.ts runs these rules, and shows for each that it catches a violation.
// A `$1` in a pattern is always followed by a `/`: without it, `user` would match `users`.

const AWS = 'node_modules/(@aws-sdk|@smithy)/'
const MODULE = '^src/modules/[^/]+$'
const FASTIFY = 'node_modules/(fastify|fastify-plugin|@fastify/[^/]+)/'

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    forbid('module-to-module-only-through-contract', 'a module can leave for a service of its own only if no other module imports its inside',
      { path: '^src/modules/([^/]+)/' }, { path: '^src/modules/', pathNot: ['^src/modules/$1/', '^src/modules/[^/]+/contract\\.ts$'] }),
    forbid('contract-only-as-type', 'a contract is types: at run time modules meet through decorators of the app',
      { path: '^src/' }, { path: '^src/modules/[^/]+/contract\\.ts$', dependencyTypesNot: ['type-only'] }),
    forbid('module-to-plugin-only-as-type', 'modules use what plugins decorate the app with',
      { path: '^src/modules/' }, { path: '^src/plugins/', dependencyTypesNot: ['type-only'] }),
    forbid('plugin-knows-no-module', 'infrastructure serves every module alike',
      { path: '^src/plugins/' }, { path: '^src/modules/' }),
    forbid('shared-is-a-leaf', 'everything may import shared, so shared imports nothing of ours',
      { path: '^src/shared/' }, { path: '^(src|local|scripts|test|bench)/', pathNot: '^src/shared/' }),
    forbid('src-stands-alone', 'what runs in production does not need what surrounds it',
      { path: '^src/' }, { path: '^(test|local|bench|scripts)/' }),
    forbid('these-modules-know-no-other', 'accounts and mails are what others build on, and health looks at plugin decorators only',
      { path: '^src/modules/(users|email|health)/' }, { path: '^src/modules/', pathNot: '^src/modules/$1/' }),
    { ...forbid('no-cycle-of-modules', 'of two modules that need each other, neither can leave; contracts and types count', { path: MODULE }, { path: MODULE, circular: true }), scope: 'folder' },
    forbid('no-cycle', 'one direction: routes, service, repository',
      { path: '^(src|local|scripts)/' }, { circular: true }),
    forbid('aws-only-at-the-edges', 'the rules of a module must not depend on who stores or sends',
      { path: '^src/', pathNot: ['^src/plugins/', '^src/modules/[^/]+/(repository|queue|sender|client|probes)\\.ts$'] }, { path: AWS }),
    forbid('rules-know-no-framework', 'a service, and what follows from an event, is plain functions over a repository',
      { path: '^src/modules/[^/]+/(service|events)\\.ts$' }, { path: [AWS, FASTIFY] }),
    forbid('no-dev-dependency-in-src', 'the artifact has no devDependencies',
      { path: '^src/' }, { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] }),
    forbid('no-unresolvable', 'a rule cannot judge an import it cannot follow',
      { path: '^(src|local|scripts|test)/' }, { couldNotResolve: true })
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^test/.*/fixtures/' }, // files of scratch copies
    tsPreCompilationDeps: true, // type-only imports count
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] }
  }
}
