"""Prints template.yaml as CloudFormation gets it, as JSON: what the SAM transform makes of it, conditions still open.

usage: transform.py TEMPLATE [Parameter=value ...]
"""
import json
import os
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# The transform looks up the region and nothing else; it makes no call.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
parameters = dict(argument.split("=", 1) for argument in sys.argv[2:])

# What `sam package` would have uploaded.
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/" + resource["Properties"]["CodeUri"]
    if resource["Type"] == "AWS::Lambda::Function":
        resource["Properties"]["Code"] = {"S3Bucket": "bucket", "S3Key": resource["Properties"]["Code"]}

translator = Translator(managed_policy_map=None, sam_parser=Parser())
json.dump(translator.translate(sam_template=template, parameter_values=parameters, get_managed_policy_map=dict), sys.stdout)
