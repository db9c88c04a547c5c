from __future__ import annotations

import re

from assay import errors
from assay.chains.quorum import DisagreementError
from assay.orchestration import runbook


def test_the_runbook_has_a_section_on_every_kind_of_error_that_a_task_can_end_with() -> None:
    file = runbook.path()
    assert file is not None
    sections = set(re.findall(r"^### (\w+Error)$", file.read_text(), flags=re.MULTILINE))
    tasks = {name for name in vars(errors) if name.endswith("Error") and name != "AssayError"} | {DisagreementError.__name__}
    assert sections == tasks


def test_anchors_of_headings_are_those_that_code_hosts_make() -> None:
    assert runbook.anchor("A deadline has passed") == "a-deadline-has-passed"
    assert runbook.anchor("What to keep, what to destroy") == "what-to-keep-what-to-destroy"
    file = runbook.path()
    assert file is not None
    page = runbook.page(file)
    assert 'id="an-asset-is-short"' in page
    assert 'id="sourceunavailableerror"' in page
    assert "<table>" in page
