"""Prints template.yaml as CloudFormation gets it: what the SAM transform makes of it, conditions still open, with the parameters.

usage: transform.py TEMPLATE SAMCONFIG_DIRECTORY STAGE|- [Parameter=value ...]

With a stage, its parameters in samconfig.toml come first. The release is always the letter a, forty times.
"""
import json
import logging
import os
import sys

# The transform looks up the region and nothing else; it makes no call.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
logging.disable(logging.WARNING)

from samcli.cli.types import CfnParameterOverridesType  # noqa: E402
from samcli.lib.config.samconfig import SamConfig  # noqa: E402
from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402

path, config_directory, stage, *arguments = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    template = yaml_parse(file.read())

overrides = [] if stage == "-" else SamConfig(config_directory).get_all(["deploy"], "parameters", stage)["parameter_overrides"]
parameters = CfnParameterOverridesType().convert([value for value in overrides if not value.startswith("file://")], None, None)
parameters.update(argument.split("=", 1) for argument in arguments)
parameters["Release"] = "a" * 40
unknown = set(parameters) - set(template["Parameters"])
if unknown:
    sys.exit(f"samconfig.toml sets {', '.join(sorted(unknown))} for {stage}, and the template has no such parameter")
unset = [name for name, parameter in template["Parameters"].items() if "Default" not in parameter and name not in parameters]
if stage != "-" and unset:
    sys.exit(f"samconfig.toml does not set {', '.join(unset)} for {stage}")

# What `sam package` would have uploaded.
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://bucket/" + resource["Properties"]["CodeUri"]
    if resource["Type"] == "AWS::Lambda::Function":
        resource["Properties"]["Code"] = {"S3Bucket": "bucket", "S3Key": resource["Properties"]["Code"]}

translator = Translator(managed_policy_map=None, sam_parser=Parser())
translated = translator.translate(sam_template=template, parameter_values=dict(parameters), get_managed_policy_map=dict)
json.dump({"template": translated, "parameters": parameters}, sys.stdout)
