// The allowed imports. test/house/boundaries.test.ts runs these rules, and shows that each one catches a violation.
// A `$1` in a pattern is always followed by a `/`: without it, `user` would match `users`.

const AWS = 'node_modules/(@aws-sdk|@smithy)/'
const MODULE = '^src/modules/[^/]+$'
const FASTIFY = 'node_modules/(fastify|fastify-plugin|@fastify/[^/]+)/'

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    forbid('module-to-module-only-through-contract', 'a module can become its own service only if no other module imports its internals',
      { path: '^src/modules/([^/]+)/' }, { path: '^src/modules/', pathNot: ['^src/modules/$1/', '^src/modules/[^/]+/contract\\.ts$'] }),
    forbid('contract-only-as-type', 'a contract contains only types: at run time modules use each other through decorators of the app',
      { path: '^src/' }, { path: '^src/modules/[^/]+/contract\\.ts$', dependencyTypesNot: ['type-only'] }),
    forbid('module-to-plugin-only-as-type', 'modules use plugins through decorators of the app',
      { path: '^src/modules/' }, { path: '^src/plugins/', dependencyTypesNot: ['type-only'] }),
    forbid('plugin-knows-no-module', 'infrastructure is independent of modules',
      { path: '^src/plugins/' }, { path: '^src/modules/' }),
    forbid('shared-is-a-leaf', 'everything may import shared, so shared imports no other folder',
      { path: '^src/shared/' }, { path: '^(src|local|scripts|test|bench)/', pathNot: '^src/shared/' }),
    forbid('src-stands-alone', 'production code must not depend on tests, scripts or the local system',
      { path: '^src/' }, { path: '^(test|local|bench|scripts)/' }),
    forbid('these-modules-know-no-other', 'other modules build on users and email, and health uses only decorators of plugins',
      { path: '^src/modules/(users|email|health)/' }, { path: '^src/modules/', pathNot: '^src/modules/$1/' }),
    { ...forbid('no-cycle-of-modules', 'two modules that need each other cannot be extracted; contracts and types count', { path: MODULE }, { path: MODULE, circular: true }), scope: 'folder' },
    forbid('no-cycle', 'imports go in one direction: routes, service, repository',
      { path: '^(src|local|scripts|bench)/' }, { circular: true }),
    forbid('aws-only-at-the-edges', 'the rules of a module must not depend on how data is stored or sent',
      { path: '^src/', pathNot: ['^src/plugins/', '^src/modules/[^/]+/(repository|[a-z]+-repository|queue|sender|client|probes)\\.ts$'] }, { path: AWS }),
    forbid('rules-know-no-framework', 'services and event handlers are plain functions over a repository',
      { path: '^src/modules/[^/]+/(service|events|accounts|avatars|directory|email-change|enrolment|items|mail|normal-forms|registration)\\.ts$' }, { path: [AWS, FASTIFY] }),
    forbid('no-dev-dependency-in-src', 'the artifact has no devDependencies',
      { path: '^src/' }, { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] }),
    forbid('no-unresolvable', 'a rule cannot judge an import it cannot follow',
      { path: '^(src|local|scripts|test|bench)/' }, { couldNotResolve: true })
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // The templates of a module, files of scratch copies, and the benchmarks' contenders, whose packages are installed by the benchmarks only.
    exclude: { path: ['^scripts/new-module/template/', '^test/.*/fixtures/', '^bench/(peers|node_modules|\\.build)/'] },
    tsPreCompilationDeps: true, // type-only imports count
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] }
  }
}
