#!/usr/bin/env python
"""Alpha Panda's command line."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

from alphapanda.env import Misconfigured
from alphapanda.eventlog.records import LogUnavailable

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alphapanda.settings")
    # numpy's thread pool would not survive the forks of `up`, and no process here computes that much
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
    except Misconfigured as error:
        sys.exit(str(error))
    except LogUnavailable as error:
        sys.exit(f"The log does not answer: {error}")
    except OperationalError as error:
        sys.exit(
            f"PostgreSQL does not answer: {str(error).splitlines()[0]}\n"
            "Start the platform with `make run`, or name a server in ALPHAPANDA_DATABASE_URL."
        )
