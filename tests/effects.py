"""Which test sees the effect of each field that the table of effects calls honoured.

`effects.json` has them by the rows of `taskrunner/model/catalog/effect_rows.py`: type, category or
`*`, then field, then the test below tests/. tests/unit/model/catalog/test_effects.py holds both
together, and tests/chaos/test_effects.py takes the field away and wants the test to fail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

SEEN: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("effects.json").read_text(encoding="utf-8")
)
