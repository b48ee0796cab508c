"""A plugin of pytest: how each check ended, a line of JSON for each, in the file $HOLDFAST_OUTCOMES."""

import json
import os


def pytest_runtest_logreport(report):
    # What is set up and torn down counts only when it goes wrong or leaves the check out.
    if report.when != "call" and report.passed:
        return
    words = report.longreprtext.strip().splitlines() if report.failed else []
    line = {"name": report.nodeid, "outcome": report.outcome, "why": words[-1] if words else ""}
    with open(os.environ["HOLDFAST_OUTCOMES"], "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
