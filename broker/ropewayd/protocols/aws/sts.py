"""AWS STS, as far as the aws CLI and Terraform need it to find out whose keys they have."""

from __future__ import annotations

from typing import Any

from ropewayd.vocabulary.action import Action

from .call import Call, Operation


class GetCallerIdentity(Operation):
    """The caller's account."""

    def action(self, call: Call) -> Action | None:
        return None

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        account = call.caller.account
        return {"Arn": f"arn:aws:iam::{account}:root", "UserId": account, "Account": account}
