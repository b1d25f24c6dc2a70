"""The environment of a process that tests interrupt, in which nothing measures coverage.

Where a measured process gets Ctrl-C while coverage holds its lock, coverage never frees it, and the process
waits for ever.
"""

import os


def unmeasured() -> dict[str, str]:
    """Return the environment of this process without the variables that start coverage in another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
