"""Prints template.yaml as CloudFormation gets it: what the SAM transform makes of it, conditions still open, with the parameters.

usage: transform.py TEMPLATE SAMCONFIG_DIRECTORY STAGE|- [Parameter=value ...]
       transform.py TEMPLATE --rows FILE DIRECTORY

With a stage, its parameters in samconfig.toml come first. With --rows, FILE is a JSON object with parameters by name, and each
result is written to DIRECTORY/NAME.json. The release is always the letter a, forty times. A TEMPLATE in JSON needs no SAM CLI,
only its translator.
"""
import copy
import json
import logging
import os
import sys

# The transform looks up the region and nothing else; it makes no call.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
logging.disable(logging.WARNING)

from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402


def read_template(path):
    with open(path, encoding="utf-8") as file:
        if path.endswith(".json"):
            template = json.load(file)
        else:
            from samcli.yamlhelper import yaml_parse

            template = yaml_parse(file.read())
    # What `sam package` would have uploaded.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/" + resource["Properties"]["CodeUri"]
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = {"S3Bucket": "bucket", "S3Key": resource["Properties"]["Code"]}
    return template


def transform(template, parameters):
    parameters = {**parameters, "Release": "a" * 40}
    unknown = {name for name in parameters if not name.startswith("AWS::")} - set(template["Parameters"])
    if unknown:
        sys.exit(f"{source} sets {', '.join(sorted(unknown))} for {stage}, and the template has no such parameter")
    translator = Translator(managed_policy_map=None, sam_parser=Parser())
    translated = translator.translate(sam_template=template, parameter_values=dict(parameters), get_managed_policy_map=dict)
    return {"template": translated, "parameters": parameters}


template = read_template(sys.argv[1])
if sys.argv[2] == "--rows":
    source, directory = sys.argv[3:5]
    with open(source, encoding="utf-8") as file:
        rows = json.load(file)
    for stage, row in rows.items():
        with open(os.path.join(directory, f"{stage}.json"), "w", encoding="utf-8") as file:
            json.dump(transform(copy.deepcopy(template), row), file)
else:
    from samcli.cli.types import CfnParameterOverridesType
    from samcli.lib.config.samconfig import SamConfig

    config_directory, stage, *arguments = sys.argv[2:]
    source = "samconfig.toml"
    overrides = [] if stage == "-" else SamConfig(config_directory).get_all(["deploy"], "parameters", stage)["parameter_overrides"]
    parameters = CfnParameterOverridesType().convert([value for value in overrides if not value.startswith("file://")], None, None)
    parameters.update(argument.split("=", 1) for argument in arguments)
    unset = [name for name, parameter in template["Parameters"].items() if "Default" not in parameter and name not in parameters]
    if stage != "-" and unset:
        sys.exit(f"samconfig.toml does not set {', '.join(unset)} for {stage}")
    json.dump(transform(template, parameters), sys.stdout)
