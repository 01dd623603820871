"""Write the README's table of the configuration from the schema."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
BEGIN, END = "<!-- configuration: begin (make docs) -->", "<!-- configuration: end -->"
# Tables of named things, and how their definitions begin: one for each kind.
NAMED = {"datasets": "dataset_", "models": "model_", "methods": "method_", "masks": "mask_"}


def table(schema: dict[str, Any]) -> str:
    """The configuration as a Markdown table: key, default, meaning."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, entry in schema["properties"].items():
        if key in NAMED:
            name = f"{key}.NAME"
            for definition in schema["$defs"]:
                if definition.startswith(NAMED[key]):
                    kind = definition.removeprefix(NAMED[key])
                    lines.append(f"| **`{name}`** | | **of kind `{kind}`** |")
                    lines += _rows(name, schema["$defs"][definition], schema)
        elif "properties" in entry:
            lines += _rows(key, entry, schema)
        else:
            lines.append(_row(key, entry, required=key in schema["required"]))
    return "\n".join(lines)


def _rows(prefix: str, entry: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    for key, known in entry["properties"].items():
        if key == "kind":
            continue
        if "$ref" in known:
            known = schema["$defs"][known["$ref"].rpartition("/")[2]]
        yield _row(f"{prefix}.{key}", known, required=key in entry.get("required", []))


def _row(key: str, known: dict[str, Any], required: bool) -> str:
    default = "" if required else f"`{_text(known['default'])}`"
    meaning = known["description"]
    if "enum" in known:
        meaning += f" ({', '.join(_text(item) for item in known['enum'])})"
    return f"| `{key}` | {default} | {meaning} |"


def _text(value: Any) -> str:
    """A value as it is written in YAML, without the end of its document."""
    return yaml.safe_dump(value).splitlines()[0]


def insert(readme: str, configuration: str) -> str:
    """Return the README with everything between its two marks replaced."""
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{configuration}\n{END}{tail}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = insert(text, table(yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))))
    readme.write_text(new, encoding="utf-8")
    sys.stdout.write("README.md is up to date\n" if new == text else "README.md was rewritten\n")
