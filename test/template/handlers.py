"""Prints what AWS's own schema of each resource type says its handlers call, from the schemas that cfn-lint brings.

usage: handlers.py TEMPLATE...   templates, or what transform.py prints

Written to test/template/handlers.json: .ci/template-checks compares.
"""
import glob
import json
import os
import re
import sys

import cfnlint

schemas = {}
for file in glob.glob(os.path.join(os.path.dirname(cfnlint.__file__), "data/schemas/resources/*.json")):
    with open(file, encoding="utf-8") as opened:
        schema = json.load(opened)
    schemas[schema.get("typeName")] = schema

types = set()
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as opened:
        types |= set(re.findall(r"""["']?Type["']?: ["']?(AWS::\w+::\w+)""", opened.read()))


def permissions(handlers, names):
    return sorted({action for name in names for action in handlers.get(name, {}).get("permissions", [])})


rows = [
    f'  {json.dumps(name)}: {{\n    "write": {json.dumps(permissions(handlers, ["create", "update", "delete"]))},\n    "read": {json.dumps(permissions(handlers, ["read"]))}\n  }}'
    for name in sorted(types) if not name.startswith("AWS::Serverless::")
    for handlers in [schemas[name].get("handlers", {})]
]
print("{\n" + ",\n".join(rows) + "\n}")
