"""Roles of the template as AWS would see them: intrinsic functions resolved, statements as plain values."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from dataops.deploy.template import Tagged, read_template
from dataops.local.registry import ACCOUNT
from dataops.local.stack import REGION

PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": "dataops"}
ARNS = {
    "AWS::DynamoDB::Table": ("dynamodb", "table/", "TableName"),
    "AWS::Lambda::Function": ("lambda", "function:", "FunctionName"),
    "AWS::Logs::LogGroup": ("logs", "log-group:", "LogGroupName"),
    "AWS::SNS::Topic": ("sns", "", "TopicName"),
    "AWS::SQS::Queue": ("sqs", "", "QueueName"),
    "AWS::StepFunctions::StateMachine": ("states", "stateMachine:", "StateMachineName"),
}
OMITTED = object()


class Allowed(NamedTuple):
    """One action of one Allow statement, with the resources it is for (patterns)."""

    action: str
    resources: tuple[str, ...]

    def allows(self, action: str, resource: str) -> bool:
        """IAM's rule: `*` is any text, `?` any character; actions whatever their case."""
        patterns = (re.sub(r"\[", "[[]", pattern) for pattern in self.resources)
        return self.action.lower() == action.lower() and any(fnmatchcase(resource, pattern) for pattern in patterns)


class Roles:
    """The template with values for its parameters; conditions on an empty parameter do not hold."""

    def __init__(self, **parameters: Any) -> None:
        self.template = read_template()
        self.resources = self.template["Resources"]
        declared = {name: of.get("Default", "") for name, of in self.template["Parameters"].items()}
        self.values = {**PSEUDO, **declared, **parameters}

    def allowed(self, role: str) -> list[Allowed]:
        """Everything that a role's own policies allow; a statement on nothing is left out."""
        found = []
        for policy in self.resources[role]["Properties"]["Policies"]:
            for statement in self.resolve(policy["PolicyDocument"])["Statement"]:
                assert statement["Effect"] == "Allow"
                resources = statement["Resource"]
                listed = tuple(resources) if isinstance(resources, list) else (resources,)
                found += [Allowed(action, listed) for action in _list(statement["Action"]) if listed]
        return found

    def resolve(self, value: Any) -> Any:
        """A part of the template without intrinsic functions."""
        if isinstance(value, Tagged):
            return getattr(self, f"_{value.tag.lower()}")(value.value)
        if isinstance(value, dict):
            return {key: self.resolve(part) for key, part in value.items()}
        if isinstance(value, list):
            return [part for part in map(self.resolve, value) if part is not OMITTED]
        return value

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return OMITTED
        return self.values[name] if name in self.values else self._arn(name)

    def _getatt(self, name: str) -> str:
        return self._arn(name.removesuffix(".Arn"))

    def _sub(self, text: str) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._ref(found[1])), text)

    def _if(self, parts: list[Any]) -> Any:
        assert parts[0].startswith(("With", "In"))
        return self.resolve(parts[2])

    def _arn(self, name: str) -> str:
        of = self.resources[name]
        service, prefix, key = ARNS[of["Type"]]
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{prefix}{self.resolve(of['Properties'][key])}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
