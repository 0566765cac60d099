"""A DAG's page in the Airflow UI: purpose, triggers, parameters, what to do when it fails, and the YAML."""

from __future__ import annotations

from retraining.spec import FrozenSpec

_TRIAGE = """### When it fails

1. Read the failed task's last log line: it says what, where and what to do.
2. The champion goes on predicting; nothing is half done. Mend the cause and clear the task: every task can run again.
3. `python -m retraining history {model}` shows what happened before.
"""


def page(frozen: FrozenSpec, purpose: str, triggers: str, parameters: str) -> str:
    """Return a DAG's documentation in Markdown; the same spec gives the same text."""
    spec = frozen.spec
    return "\n".join(
        [
            f"## {frozen.model}: {purpose}",
            spec.description,
            f"**Owner**: {spec.owner.business} (business), {spec.owner.technical} (technical). **Mode**: {spec.mode}.",
            f"### What starts it\n{triggers}",
            f"### Parameters\n{parameters}",
            _TRIAGE.format(model=frozen.model),
            f"### The YAML\n```yaml\n{frozen.text.rstrip()}\n```\nEvery key that is not here has its default: "
            "`docs/reference/yaml.md` lists them.",
        ]
    )
