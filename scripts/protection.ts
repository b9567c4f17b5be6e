import { GetStackPolicyCommand, SetStackPolicyCommand, UpdateTerminationProtectionCommand, type CloudFormationClient } from '@aws-sdk/client-cloudformation'
import { findStack } from './stack.ts'

/** Resource types with what cannot be created again. An update may change their settings, and not replace or remove them. */
const KEPT = ['AWS::Backup::BackupVault', 'AWS::DynamoDB::Table', 'AWS::KMS::Key', 'AWS::S3::Bucket', 'AWS::SecretsManager::Secret']

/** A policy without an Allow would stop every update; a Deny goes first. */
export const STACK_POLICY = JSON.stringify({
  Statement: [
    { Effect: 'Allow', Principal: '*', Action: 'Update:*', Resource: '*' },
    { Effect: 'Deny', Principal: '*', Action: ['Update:Replace', 'Update:Delete'], Resource: '*', Condition: { StringEquals: { ResourceType: KEPT } } }
  ]
})

/**
 * Protects a stack from being deleted, and its data from an update that would replace or remove them. Changes nothing when it
 * is protected already.
 *
 * @returns what was turned on
 */
export async function protect (cloudformation: CloudFormationClient, stack: string): Promise<string[]> {
  const turnedOn: string[] = []
  if ((await findStack(cloudformation, stack))?.isProtected !== true) {
    await cloudformation.send(new UpdateTerminationProtectionCommand({ StackName: stack, EnableTerminationProtection: true }))
    turnedOn.push('termination protection')
  }
  const { StackPolicyBody } = await cloudformation.send(new GetStackPolicyCommand({ StackName: stack }))
  if (StackPolicyBody !== STACK_POLICY) {
    await cloudformation.send(new SetStackPolicyCommand({ StackName: stack, StackPolicyBody: STACK_POLICY }))
    turnedOn.push('stack policy')
  }
  return turnedOn
}
