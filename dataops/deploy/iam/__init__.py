"""What is wider than needed in a template's roles and policies, found without AWS: each fault with its place.

`allowed` has the tables of what ours need; `intrinsic` writes a template in one spelling, `grants` finds its statements
and compares them, `roles` and `access` hold them to the tables, `reasons` reads the comments of what AWS lets nobody narrow.
"""

from dataops.deploy.iam.allowed import ALLOWED
from dataops.deploy.iam.grants import list_grants
from dataops.deploy.iam.roles import check_roles

__all__ = ["ALLOWED", "check_roles", "list_grants"]
