// Runs the packs Serverless and AwsSolutions of cdk-nag over CloudFormation templates, and prints their findings as JSON:
//
//   node nag.mjs PACKAGES FILE...        PACKAGES is the directory that `npm ci` installed package-lock.json in
//
// What is suppressed, and why, is in test/template/suppressions.yaml for all tools alike, so no finding is suppressed here.
import { createRequire } from 'node:module'
import { basename, resolve } from 'node:path'

const [packages, ...files] = process.argv.slice(2)
// Not called require: the packages are not those of the project, whose boundaries are checked.
const load = createRequire(resolve(packages, 'package.json'))
const { App, Stack } = load('aws-cdk-lib')
const { CfnInclude } = load('aws-cdk-lib/cloudformation-include')
const { AwsSolutionsChecks, ServerlessChecks } = load('cdk-nag')

const findings = files.flatMap(file => {
  const stack = new Stack(new App({ analyticsReporting: false }), 'Stack')
  const included = new CfnInclude(stack, 'Template', { templateFile: file })
  return [new ServerlessChecks(), new AwsSolutionsChecks()].flatMap(pack =>
    pack.validateScope(included).violations.flatMap(({ ruleName: rule, description: message, violatingResources }) =>
      violatingResources.map(({ constructPath }) => ({ rule, resource: constructPath.split('/').at(-1), file: basename(file), message }))))
})
console.log(JSON.stringify({ files: files.length, findings }))
