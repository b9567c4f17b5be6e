"""Creates stacks in moto by its CloudFormation, and by its API some of what its CloudFormation does not create.

usage: create_in_moto.py DIRECTORY ZONE NAME ...

Each NAME is that of a template, DIRECTORY/NAME.json, and of its stack. ZONE is the id of a hosted zone in them, which is created.
Prints JSON by name: the resources that CloudFormation lists, what was created by the API, and what each service then says about it.
For the API the SDK compares names and types of the template's properties with its own, which are the same for these types.
"""
import ast
import io
import json
import re
import sys
import zipfile

import boto3
from botocore.validate import ParamValidator

directory, zone, *names = sys.argv[1:]
s3, cloudformation, iam = boto3.client("s3"), boto3.client("cloudformation"), boto3.client("iam")
cloudwatch, logs, secrets = boto3.client("cloudwatch"), boto3.client("logs"), boto3.client("secretsmanager")


def text(value):
    """References become text: these calls only compare and keep it."""
    if isinstance(value, list):
        return [text(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select"):
        return json.dumps(value)[:200]
    return {key: text(item) for key, item in value.items()}


def compare(client, operation, parameters):
    """Where moto does not have the call: compares its parameters with those that the SDK knows."""
    report = ParamValidator().validate(parameters, client.meta.service_model.operation_model(operation).input_shape)
    if report.has_errors():
        sys.exit(f"{operation}: {report.generate_report()}")


def alarm(stack, name, properties, _):
    cloudwatch.put_metric_alarm(**{"AlarmName": f"{stack}-{name}", **text(properties)})


def composite(stack, name, properties, template):
    rule = properties["AlarmRule"]["Fn::Sub"].replace("not-created-", f"{stack}-")
    unknown = [other for other in re.findall(r'"([^"]+)"', rule) if other.removeprefix(f"{stack}-") not in template]
    if unknown or "ALARM(" not in rule:
        sys.exit(f"{name} watches what is not there: {rule}")
    compare(cloudwatch, "PutCompositeAlarm", {"AlarmName": name, **text(properties), "AlarmRule": rule})


def query(stack, name, properties, _):
    compare(logs, "PutQueryDefinition", {key[0].lower() + key[1:]: value for key, value in text(properties).items()})


def secret(stack, name, properties, _):
    value = secrets.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
    return secrets.create_secret(Name=f"{stack}-{name}", Description=properties["Description"], SecretString=value)["ARN"]


TYPES = {
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::CompositeAlarm": composite,
    "AWS::Logs::QueryDefinition": query,
    "AWS::SecretsManager::Secret": secret,
}


def table(name, properties):
    dynamodb = boto3.client("dynamodb")
    # moto's CloudFormation leaves these two out.
    if "TimeToLiveSpecification" in properties:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
    if "PointInTimeRecoverySpecification" in properties:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"])
    described = dynamodb.describe_table(TableName=name)["Table"]
    return {
        "keys": [key["AttributeName"] for key in described["KeySchema"]],
        "indexes": {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in described.get("GlobalSecondaryIndexes", [])},
        "billing": described["BillingModeSummary"]["BillingMode"],
        "stream": described.get("StreamSpecification", {}).get("StreamViewType"),
        "protected": described.get("DeletionProtectionEnabled", False),
        "ttl": dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("AttributeName"),
        "pitr": dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def queue(url, _):
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
    return {
        "visibility": int(attributes["VisibilityTimeout"]),
        "retention": int(attributes["MessageRetentionPeriod"]),
        "deadLetters": redrive.get("deadLetterTargetArn", "").split(":")[-1],
        "receives": redrive.get("maxReceiveCount"),
    }


def function(name, _):
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=name)
    return {"runtime": configuration["Runtime"], "timeout": configuration["Timeout"], "memory": configuration["MemorySize"], "variables": configuration.get("Environment", {}).get("Variables", {})}


def mapping(uuid, _):
    described = boto3.client("lambda").get_event_source_mapping(UUID=uuid)
    return {"source": described["EventSourceArn"], "batch": described["BatchSize"]}


def group(name, _):
    return logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0].get("retentionInDays")


def role(name, _):
    policies = {policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]}
    return {
        # moto gives a document of its CloudFormation in Python's notation.
        "policies": {policy: [statement.get("Sid") for statement in (ast.literal_eval(document) if isinstance(document, str) else document)["Statement"]] for policy, document in policies.items()},
        "trust": [statement["Principal"]["Service"] for statement in iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]],
    }


LOOKS = {"AWS::DynamoDB::Table": table, "AWS::SQS::Queue": queue, "AWS::Lambda::Function": function, "AWS::Lambda::EventSourceMapping": mapping, "AWS::Logs::LogGroup": group, "AWS::IAM::Role": role}


def read(name):
    with open(f"{directory}/{name}.json", encoding="utf-8") as file:
        return file.read()


def create(stack, body):
    # CloudFormation takes a template of this size from S3 only. moto takes it here.
    cloudformation.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    listed = [resource for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack) for resource in page["StackResourceSummaries"]]
    template = json.loads(body)["Resources"]
    created = {kind: {name: make(stack, name, resource["Properties"], template) for name, resource in template.items() if resource["Type"] == kind} for kind, make in TYPES.items()}
    alarms = [alarm["AlarmName"] for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack}-") for alarm in page["MetricAlarms"]]
    # What it does not create is listed without a name.
    physical = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed if resource["LogicalResourceId"]}
    return {
        "status": status["StackStatus"],
        "resources": {resource["LogicalResourceId"]: {"type": resource["ResourceType"], "id": resource["PhysicalResourceId"]} for resource in listed if resource["LogicalResourceId"]},
        "api": created,
        "alarms": sorted(name.removeprefix(f"{stack}-") for name in alarms),
        "seen": {name: LOOKS[resource["Type"]](physical[name], resource["Properties"]) for name, resource in template.items() if resource["Type"] in LOOKS},
    }


bodies = {name: read(name) for name in names}
hosted = boto3.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")["HostedZone"]["Id"].split("/")[-1]
s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file:
    file.writestr("index.mjs", "")
for key in {resource["Properties"]["Code"]["S3Key"] for body in bodies.values() for resource in json.loads(body)["Resources"].values() if resource["Type"] == "AWS::Lambda::Function"}:
    s3.put_object(Bucket="bucket", Key=key, Body=archive.getvalue())
print(json.dumps({name: create(name, body.replace(zone, hosted)) for name, body in bodies.items()}))
