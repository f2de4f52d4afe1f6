"""What people have in place of a definition: told by what it is, and what to make of it.

Nothing here reads such a file; it only says, better than "not JSON", what would be read.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from taskrunner.model.sources.tree import MapNode

#: What makes a readable file of a Terraform configuration.
_PLAN = "terraform plan -out plan.bin, then terraform show -json plan.bin > plan.json"
_STATE = "terraform show -json > state.json"

_HCL_BLOCK = re.compile(
    r'^\s*(?:(?:resource|data)\s+"[^"]*"\s+"[^"]*"'
    r'|(?:variable|provider|module|output)\s+"[^"]*"|terraform|locals)\s*\{',
    re.MULTILINE,
)
_HCL_ENDINGS = frozenset({".tf", ".hcl", ".tfvars", ".tofu"})
_PROGRAM_ENDINGS = frozenset({".py", ".ts", ".js", ".java", ".cs", ".go"})

#: How files begin that are no text in UTF-8.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ZIP = b"PK\x03\x04"

_TERRAFORM_PARTS = frozenset(
    {"resource", "data", "variable", "provider", "module", "output", "terraform", "locals"}
)


def of_text(text: str, source: str | None) -> str | None:
    """What a text is that is neither JSON nor YAML, and what is wanted; None: nobody knows."""
    ending = PurePath(source or "").suffix.lower()
    if ending in _HCL_ENDINGS or _HCL_BLOCK.search(text):
        return (
            "this is Terraform's own language (HCL), which is not read; wanted the JSON that "
            f"Terraform makes of it: {_PLAN} (of what is deployed: {_STATE})"
        )
    if ending in _PROGRAM_ENDINGS:
        return (
            "this is a program, which is not run; wanted what it makes: of an AWS CDK app the "
            "template that cdk synth prints"
        )
    return None


def of_bytes(data: bytes) -> str | None:
    """The same for data that is not UTF-8."""
    if data.startswith(_ZIP):
        return (
            "this is a ZIP archive, as terraform plan -out writes; of a plan wanted its JSON: "
            "terraform show -json FILE > plan.json"
        )
    if data.startswith(_UTF16):
        return "this is UTF-16, as some Windows programs write; wanted UTF-8"
    return None


def of_object(root: MapNode) -> str | None:
    """The same for a JSON or YAML object that is no definition."""
    if root.has("terraform_version") and root.has("lineage"):
        return (
            f"this is Terraform's state file itself, which is not read; wanted {_STATE}, run in "
            "the configuration's folder"
        )
    if root.members and all(m.key in _TERRAFORM_PARTS or m.key == "//" for m in root.members):
        return (
            "this is a Terraform configuration, whose expressions only Terraform works out; "
            f"wanted its plan in JSON: {_PLAN}"
        )
    return None
